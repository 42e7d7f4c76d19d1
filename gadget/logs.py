"""The daemon's last log lines, kept in memory for the host's `logs` request.

Where lines go otherwise (the journal with fields, or stderr) is `registrar.logs`: no handler ever
waits for a stuck journal. Message bodies and secrets are never logged, by whom ever.
"""

import logging
from collections import deque
from collections.abc import Callable
from typing import Final

from broker.bounds import LOG_BYTES_LIMIT, LOG_LINES_LIMIT
from gadget.health.log_tally import LogTally
from registrar.logs import Line, line_of, start_logging

__all__ = ["LogBook", "start_log_book"]

_LINE_CHARACTERS: Final = 400


class LogBook(logging.Handler):
    """The last 1,000 lines, each cut to 400 characters.

    Attributes:
        tally: counts what is logged.
        correct: what the board's clock says as UTC, once a host has told the time.
    """

    def __init__(self) -> None:
        super().__init__()
        self.tally = LogTally()
        self.correct: Callable[[float], float] = float
        self._lines: deque[Line] = deque(maxlen=LOG_LINES_LIMIT)

    def emit(self, record: logging.LogRecord) -> None:
        line = line_of(record)
        fields_size = sum(len(name) + len(str(value)) + 2 for name, value in line.fields.items())
        self.tally.take(line.level, line.message, fields_size)
        # Made into text when somebody asks, which happens far less often than a signature.
        self._lines.append(line._replace(message=line.message[:_LINE_CHARACTERS]))

    def last_lines(self, count: int) -> tuple[str, ...]:
        """Returns at most `count` lines that fit into one message, the eldest first."""
        chosen: list[str] = []
        room_bytes = LOG_BYTES_LIMIT
        for line in reversed(self._lines):
            dated = line._replace(created_s=self.correct(line.created_s))
            text = str(dated)[:_LINE_CHARACTERS]
            room_bytes -= len(text.encode())
            if len(chosen) == count or room_bytes < 0:
                break
            chosen.append(text)
        return tuple(reversed(chosen))


def start_log_book() -> LogBook:
    """Starts logging and returns the book that takes part in it."""
    book = LogBook()
    start_logging("tezsign", book)
    return book
