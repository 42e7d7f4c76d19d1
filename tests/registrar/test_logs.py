import io
import logging
import os
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from registrar.logs import JournalHandler, LineFormatter, start_logging


@pytest.fixture
def root() -> Iterator[logging.Logger]:
    logger = logging.getLogger()
    before, level = logger.handlers, logger.level
    yield logger
    for handler in logger.handlers:
        if handler not in before:
            handler.close()
    logger.handlers = before
    logger.setLevel(level)


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as sock:
        sock.bind(str(tmp_path / "journal"))
        yield sock


@pytest.fixture
def handler(journal: socket.socket) -> Iterator[JournalHandler]:
    handler = JournalHandler("ffs-registrar", Path(journal.getsockname()))
    yield handler
    handler.close()


def record(level: int = logging.INFO, **fields: object) -> logging.LogRecord:
    given = {"name": "registrar.daemon", "msg": "usb state changed", "levelno": level}
    return logging.makeLogRecord(given | {"levelname": "INFO", "created": 0.0} | fields)


def receive(journal: socket.socket) -> dict[str, str]:
    lines = journal.recv(65536).decode().splitlines()
    return dict(line.split("=", 1) for line in lines)


def test_line_has_time_level_and_fields() -> None:
    line = LineFormatter().format(record(state="enabled", event="ENABLE"))
    assert line == (
        "1970-01-01T00:00:00Z INFO registrar.daemon: usb state changed state=enabled event=ENABLE"
    )


def test_journal_entry_has_our_fields_in_upper_case(
    journal: socket.socket, handler: JournalHandler
) -> None:
    handler.handle(record(state="enabled"))
    assert receive(journal) == {
        "MESSAGE": "usb state changed",
        "PRIORITY": "6",
        "LOGGER": "registrar.daemon",
        "SYSLOG_IDENTIFIER": "ffs-registrar",
        "STATE": "enabled",
    }


@pytest.mark.parametrize(
    ("level", "priority"),
    [(logging.CRITICAL, "3"), (logging.ERROR, "3"), (logging.WARNING, "4"), (logging.DEBUG, "7")],
)
def test_level_becomes_a_syslog_priority(
    journal: socket.socket, handler: JournalHandler, level: int, priority: str
) -> None:
    handler.handle(record(level))
    assert receive(journal)["PRIORITY"] == priority


def test_line_break_cannot_forge_a_field(journal: socket.socket, handler: JournalHandler) -> None:
    handler.handle(record(reason="first\nPRIORITY=0"))
    fields = receive(journal)
    assert fields["REASON"] == "first | PRIORITY=0"
    assert fields["PRIORITY"] == "6"


def test_stuck_journal_costs_lines_and_says_how_many(
    journal: socket.socket, handler: JournalHandler
) -> None:
    for _ in range(2000):
        handler.handle(record())
    kept = 0
    try:
        while True:
            journal.recv(65536)
            kept += 1
    except BlockingIOError:
        pass
    assert 0 < kept < 2000
    handler.handle(record())
    assert receive(journal)["LOST_LINES"] == str(2000 - kept)
    handler.handle(record())
    assert "LOST_LINES" not in receive(journal)


def test_missing_journal_is_no_error(tmp_path: Path) -> None:
    handler = JournalHandler("ffs-registrar", tmp_path / "nothing")
    handler.handle(record())
    handler.close()


def test_stderr_gets_lines_where_it_is_not_the_journal(
    root: logging.Logger, monkeypatch: pytest.MonkeyPatch
) -> None:
    stderr = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stderr)
    monkeypatch.setenv("JOURNAL_STREAM", "1:2")
    start_logging("ffs-registrar")
    logging.getLogger("registrar.test").info("hello", extra={"answer": 42})
    logging.getLogger("registrar.test").debug("too much")
    assert stderr.getvalue().endswith("Z INFO registrar.test: hello answer=42\n")
    assert stderr.getvalue().count("\n") == 1


def test_journal_gets_entries_where_stderr_is_its_stream(
    root: logging.Logger, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with (tmp_path / "stream").open("w") as stream:
        status = os.fstat(stream.fileno())
        monkeypatch.setattr(sys, "stderr", stream)
        monkeypatch.setenv("JOURNAL_STREAM", f"{status.st_dev}:{status.st_ino}")
        start_logging("ffs-registrar")
        assert isinstance(root.handlers[0], JournalHandler)
