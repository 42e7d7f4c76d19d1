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
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Final, NamedTuple

__all__ = ["JOURNAL_SOCKET", "JournalHandler", "Line", "LineFormatter", "line_of", "start_logging"]

JOURNAL_SOCKET: Final = Path("/run/systemd/journal/socket")
_PLAIN_FIELDS: Final = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime"}
_formatter: Final = logging.Formatter()
# sd-daemon(3): syslog priorities.
_PRIORITIES: Final = ((logging.ERROR, 3), (logging.WARNING, 4), (logging.INFO, 6), (0, 7))


class Line(NamedTuple):
    """What a log record has to say, in a tenth of its memory."""

    created_s: float
    level: str
    logger: str
    message: str
    fields: Mapping[str, object]

    def __str__(self) -> str:
        """`2026-11-20T08:00:00Z INFO registrar.daemon: usb state changed state=enabled`."""
        fields = "".join([f" {name}={value}" for name, value in self.fields.items()])
        time_text = _format_second(int(self.created_s))
        return f"{time_text} {self.level} {self.logger}: {self.message}{fields}"


def line_of(record: logging.LogRecord) -> Line:
    """A trace that comes with the record becomes a part of the message."""
    message = record.getMessage()
    if record.exc_info:
        message = f"{message}\n{_formatter.formatException(record.exc_info)}"
    return Line(record.created, record.levelname, record.name, message, _fields(record))


class LineFormatter(logging.Formatter):
    """Writes a record as a `Line`."""

    def format(self, record: logging.LogRecord) -> str:
        return str(line_of(record))


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
    _leave_out_what_nobody_reads()
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


@lru_cache(maxsize=1)
def _format_second(seconds: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


def _leave_out_what_nobody_reads() -> None:
    """A line costs the board half as much without it. Source: logging HOWTO, "Optimization"."""
    logging._srcfile = None  # noqa: SLF001 - the documented way: no search for the caller
    logging.logThreads = False
    logging.logMultiprocessing = False
    logging.logProcesses = False


def _one_line(value: object) -> str:
    return " | ".join(str(value).splitlines())


def _stderr_is_journal() -> bool:
    try:
        status = os.fstat(sys.stderr.fileno())
    except (OSError, ValueError):
        return False
    return os.environ.get("JOURNAL_STREAM") == f"{status.st_dev}:{status.st_ino}"
