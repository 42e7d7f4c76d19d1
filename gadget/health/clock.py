"""What time it is on a board that has no clock: time since it was switched on, and UTC once a host
has told.

The host's word dates reports, crash records and log lines. Nothing is decided by it.
"""

import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final, final

__all__ = ["BoardClock"]

logger = logging.getLogger(__name__)

_BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")
_NEWS_S: Final = 60.0


@final
class BoardClock:
    """The kernel's boot time, and its distance from UTC where that is known.

    Args:
        now_s: seconds since the board was switched on.
        own_unix_s: what the board's own clock says, which is often wrong by years.
    """

    def __init__(
        self,
        *,
        now_s: Callable[[], float] = lambda: time.clock_gettime(time.CLOCK_BOOTTIME),
        own_unix_s: Callable[[], float] = time.time,
        boot_id: str | None = None,
    ) -> None:
        self.now_s = now_s
        self.boot_id = _read_boot_id() if boot_id is None else boot_id
        self._own_unix_s = own_unix_s
        self._booted_unix_s: float | None = None

    def tell(self, unix_s: float) -> None:
        """A host says what time it is."""
        booted_unix_s = unix_s - self.now_s()
        before = self._booted_unix_s
        self._booted_unix_s = booted_unix_s
        if before is None or abs(booted_unix_s - before) > _NEWS_S:
            logger.info("a host has told the time", extra={"utc": self.stamp(self.now_s())})

    def unix_at(self, boottime_s: float) -> float | None:
        return None if self._booted_unix_s is None else self._booted_unix_s + boottime_s

    def stamp(self, boottime_s: float) -> str | None:
        """`2026-11-20T08:00:00Z`, or None while no host has told the time."""
        unix_s = self.unix_at(boottime_s)
        return self.format(unix_s)

    @staticmethod
    def format(unix_s: float | None) -> str | None:
        if unix_s is None:
            return None
        return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(unix_s))

    def correct(self, own_unix_s: float) -> float:
        """Returns the UTC of what the board's own clock has said; the same while nobody told it."""
        now = self.unix_at(self.now_s())
        return own_unix_s if now is None else own_unix_s + now - self._own_unix_s()


def _read_boot_id() -> str:
    try:
        return _BOOT_ID.read_text().strip()
    except OSError:
        return ""
