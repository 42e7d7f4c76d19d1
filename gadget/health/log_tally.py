"""How much the journal grows, and what warnings and errors say. A counter, no I/O.

A log message is a fixed sentence here and its values are fields, so it is the kind of error.
Fed by `gadget.logs`, read by `gadget.health.collector`.
"""

from typing import Final, final

from gadget.health.rolling import RollingCounts

__all__ = ["LogTally"]

# What an entry of the journal takes beside its text: its time, and references to some thirty
# fields, most of which are stored once. Measured: tests/systemd/test_log_volume.py.
_LINE_OVERHEAD_BYTES: Final = 480
_BYTES: Final = "bytes"
_COUNTED: Final = ("WARNING", "ERROR", "CRITICAL")


@final
class LogTally:
    """Since the start of the process, and of the last hour."""

    def __init__(self) -> None:
        self.lines = 0
        self.bytes = 0
        self.errors = RollingCounts()
        self._hour = RollingCounts()

    def take(self, level: str, message: str, fields_size: int) -> None:
        size_bytes = len(message) + fields_size + _LINE_OVERHEAD_BYTES
        self.lines += 1
        self.bytes += size_bytes
        self._hour.count(_BYTES, size_bytes)
        if level in _COUNTED:
            self.errors.count(message.split("\n", 1)[0])

    @property
    def bytes_last_hour(self) -> int:
        return self._hour.last_hour(_BYTES)

    def turn(self) -> None:
        """Five minutes are over."""
        self.errors.turn()
        self._hour.turn()
