"""Where log lines go: to the journal with their fields, or to stderr as text. I/O.

Writing to the journal never waits: a journal that is stuck costs lines, which the next line that
gets through tells, and not answers to the host. Called by `__main__`, here and of the gadget.
Source: systemd.exec(5) for JOURNAL_STREAM, systemd.journal-fields(7), and "Native Journal Protocol"
of systemd for the datagram: one line KEY=value a field. A value may have no line break in this
form.
"""

import logging
import os
import socket
import sys
import time
from pathlib import Path
from typing import Final

__all__ = ["JOURNAL_SOCKET", "JournalHandler", "LineFormatter", "start_logging"]

JOURNAL_SOCKET: Final = Path("/run/systemd/journal/socket")
_PLAIN_FIELDS: Final = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime"}
# sd-daemon(3): syslog priorities.
_PRIORITIES: Final = ((logging.ERROR, 3), (logging.WARNING, 4), (logging.INFO, 6), (0, 7))


class LineFormatter(logging.Formatter):
    """`2026-11-20T08:00:00Z INFO registrar.daemon: usb state changed state=enabled`."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s: %(message)s", "%Y-%m-%dT%H:%M:%SZ")
        self.converter = time.gmtime

    def format(self, record: logging.LogRecord) -> str:
        fields = "".join(f" {name}={value}" for name, value in _fields(record).items())
        return super().format(record) + fields


class JournalHandler(logging.Handler):
    """One datagram a line; our fields in upper case, as the journal wants them."""

    def __init__(self, identifier: str, path: Path = JOURNAL_SOCKET) -> None:
        super().__init__()
        self._identifier = identifier
        self._path = path
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self._lost_lines = 0

    def emit(self, record: logging.LogRecord) -> None:
        fields = {
            "MESSAGE": self.format(record),
            "PRIORITY": next(p for level, p in _PRIORITIES if record.levelno >= level),
            "LOGGER": record.name,
            "SYSLOG_IDENTIFIER": self._identifier,
            **{name.upper(): value for name, value in _fields(record).items()},
        }
        if self._lost_lines:
            fields["LOST_LINES"] = self._lost_lines
        lines = (f"{name}={_one_line(value)}\n" for name, value in fields.items())
        try:
            self._socket.sendto("".join(lines).encode(), str(self._path))
            self._lost_lines = 0
        except OSError:
            self._lost_lines += 1

    def close(self) -> None:
        self._socket.close()
        super().close()


def start_logging(identifier: str, *others: logging.Handler) -> None:
    """Sends all loggers, from info up, to the journal or to stderr, and to the others.

    Args:
        identifier: what the journal calls this program.
    """
    output: logging.Handler
    if _stderr_is_journal():
        output = JournalHandler(identifier)
    else:
        output = logging.StreamHandler(sys.stderr)
        output.setFormatter(LineFormatter())
    root = logging.getLogger()
    root.setLevel(logging.INFO)
    root.handlers = [output, *others]


def _fields(record: logging.LogRecord) -> dict[str, object]:
    return {name: value for name, value in record.__dict__.items() if name not in _PLAIN_FIELDS}


def _one_line(value: object) -> str:
    return " | ".join(str(value).splitlines())


def _stderr_is_journal() -> bool:
    try:
        status = os.fstat(sys.stderr.fileno())
    except (OSError, ValueError):
        return False
    return os.environ.get("JOURNAL_STREAM") == f"{status.st_dev}:{status.st_ino}"
