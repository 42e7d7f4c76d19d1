"""What systemd is told: that the daemon is up, that it is alive, and what it is doing.

The watchdog is fed only while no part is late, so that each of them has shown a heartbeat. READY=1
goes out once every part has begun: the keyring is open then, and the daemon waits for USB or
serves. Called by `gadget.daemon`.
"""

import logging
from collections.abc import Callable, Sequence
from math import inf
from typing import Final, Never, final

import trio

from gadget.part import Part
from gadget.periodic import run_periodically
from registrar.notify import feed_watchdog, notify_ready, notify_status, watchdog_s

__all__ = ["Watch"]

_PERIOD_S: Final = 1.0
_FEEDS_PER_LIMIT: Final = 3

logger = logging.getLogger(__name__)


@final
class Watch:
    """Looks after the parts once a second.

    Args:
        parts: the watchdog is fed while none of them is late.
        describe: returns the status line.
        rescue: called at each look; starts a task again that hangs.
    """

    def __init__(
        self,
        parts: Sequence[Part],
        describe: Callable[[], str],
        rescue: Callable[[], None] | None = None,
    ) -> None:
        self._parts = parts
        self._describe = describe
        self._rescue = rescue
        limit_s = watchdog_s()
        self._feed_period_s = inf if limit_s is None else limit_s / _FEEDS_PER_LIMIT
        self._period_s = min(_PERIOD_S, self._feed_period_s)
        self._next_feed_s = inf if limit_s is None else -inf
        self._status = ""
        self._late: list[str] = []

    async def run(self, part: Part) -> Never:
        if not self._status:
            await self._say_ready()

        async def look() -> None:
            with part.working():
                self._look()

        await run_periodically(part, self._period_s, look)

    async def _say_ready(self) -> None:
        for part in self._parts:
            await part.wait_begun()
        self._status = self._describe()
        notify_ready(self._status)

    def _look(self) -> None:
        status = self._describe()
        if status != self._status:
            notify_status(status)
            self._status = status
        self._note_late([part.name for part in self._parts if part.is_late()])
        if self._rescue is not None:
            self._rescue()
        now_s = trio.current_time()
        if not self._late and now_s >= self._next_feed_s:
            feed_watchdog()
            self._next_feed_s = now_s + self._feed_period_s

    def _note_late(self, late: list[str]) -> None:
        if late == self._late:
            return
        if late:
            logger.error("heartbeats are late", extra={"parts": ", ".join(late)})
        else:
            logger.warning("heartbeats are back", extra={"parts": ", ".join(self._late)})
        self._late = late
