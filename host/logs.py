"""Where the lines of `tezsign run` go: standard error, with fields, and never at a signature's
cost.

A logger only puts its record into a bounded queue; one thread formats and writes. Who does not read
our standard error loses lines (the next one that fits says how many), and the baker nothing.
Message bodies and secrets are never logged, by whom ever. Called by `commands.run`.
"""

import contextlib
import json
import logging
import logging.handlers
import queue
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final, TextIO

__all__ = ["LineFormatter", "write_logs"]

_QUEUE_LINES: Final = 1000
_STOP_S: Final = 0.5
_PLAIN_FIELDS: Final = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime"}


class LineFormatter(logging.Formatter):
    """`2026-11-20T08:00:00Z INFO request answered method=GET path=/known_keys status=200`."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(message)s", "%Y-%m-%dT%H:%M:%SZ")
        self.converter = time.gmtime

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's name
        fields = (
            f" {name}={_write(value)}"
            for name, value in record.__dict__.items()
            if name not in _PLAIN_FIELDS
        )
        return super().formatMessage(record) + "".join(fields)


class _QueueHandler(logging.handlers.QueueHandler):
    def __init__(self, lines: "queue.Queue[Any]") -> None:
        super().__init__(lines)
        self._lost = 0

    def enqueue(self, record: logging.LogRecord) -> None:
        if self._lost:
            record.lost_lines = self._lost
        try:
            self.queue.put_nowait(record)
            self._lost = 0
        except queue.Full:
            self._lost += 1


@contextmanager
def write_logs(stream: TextIO | None = None, queue_lines: int = _QUEUE_LINES) -> Iterator[None]:
    """Sends all loggers, from info up, to the stream (standard error) for as long as the block
    lasts.

    Leaving it takes at most 1 s, even where the stream is stuck.
    """
    lines: queue.Queue[Any] = queue.Queue(queue_lines)
    output = logging.StreamHandler(stream or sys.stderr)
    output.setFormatter(LineFormatter())
    thread = threading.Thread(target=_write_lines, args=(lines, output), daemon=True)
    thread.start()
    root = logging.getLogger()
    handler = _QueueHandler(lines)
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    try:
        yield
    finally:
        root.setLevel(level)
        root.removeHandler(handler)
        with contextlib.suppress(queue.Full):
            lines.put(None, timeout=_STOP_S)
            thread.join(_STOP_S)


def _write_lines(lines: "queue.Queue[Any]", output: logging.Handler) -> None:
    while (record := lines.get()) is not None:
        output.handle(record)


def _write(value: object) -> str:
    """Quotes what would not read as one word: nobody else's text can look like our fields."""
    text = f"{value:.1f}" if isinstance(value, float) else str(value)
    plain = text.isascii() and text.isprintable() and not set(text) & set(' "=')
    return text if plain and text else json.dumps(text)
