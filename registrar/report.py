"""What systemd hears of the loop: that it turns, and a line about where it stands. I/O.

The watchdog is fed at the end of a turn and nowhere else: a registrar that hangs in ep0, in a
socket or in a bug is killed, and the next one takes over (registrar/inheritance.py).
"""

import time
from collections.abc import Callable
from typing import Final

from registrar.notify import feed_watchdog, notify_ready, notify_status, watchdog_s

__all__ = ["Report"]

_FEEDS: Final = 3  # in the time that systemd waits for one


class Report:
    """One service's report; the first one makes it ready."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        limit_s = watchdog_s()
        self._period_s = None if limit_s is None else limit_s / _FEEDS
        self._clock = clock
        self._due_s = clock()
        self._status: str | None = None

    def wait_s(self) -> float | None:
        """Returns how long a turn may wait; None: for ever."""
        if self._period_s is None:
            return None
        return max(0.0, self._due_s - self._clock())

    def turned(self, status: str) -> None:
        """The start or a turn is over, and all that was due in it has been done."""
        if self._status is None:
            notify_ready(status)
        elif status != self._status:
            notify_status(status)
        self._status = status
        if self._period_s is not None and self._clock() >= self._due_s:
            feed_watchdog()
            self._due_s = self._clock() + self._period_s
