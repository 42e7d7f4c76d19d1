"""A long-lived task of the daemon, as its supervisor and the watchdog see it.

A heartbeat is a promise: the next one comes within so many seconds. So a task that waits has to
wake up for it, and one that does not come back is late, whatever it hangs in.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from math import inf
from typing import Final, final

import trio

__all__ = ["Part"]

# Beyond the promise: a slow board, a burst of requests, a turn that takes its time.
_GRACE_S: Final = 5.0


@final
class Part:
    """Counts and times of one task; `gadget.supervisor` keeps the task itself.

    Attributes:
        status: what it is doing, in words for a person.
        restarts: how often it was started again.
        stuck_restarts: how often because it showed no sign of life.
        last_heartbeat_s: on trio's clock; -inf: none yet.
        cpu_s: processor time within `working`.
        bugs: how many it has failed with; `last_bug` says where, in files and lines.
    """

    def __init__(self, name: str) -> None:
        self.name: Final = name
        self.status = "not started"
        self.restarts = 0
        self.stuck_restarts = 0
        self.last_heartbeat_s = -inf
        self.cpu_s = 0.0
        self.bugs = 0
        self.last_bug = ""
        self.cancel_run: Callable[[], None] = _nothing
        self._due_s = -inf
        self._begun = trio.Event()

    def beat(self, next_within_s: float) -> None:
        """Shows that the task is alive, and says when it will show it again at the latest."""
        self.last_heartbeat_s = trio.current_time()
        self._due_s = self.last_heartbeat_s + next_within_s + _GRACE_S
        self._begun.set()

    @contextmanager
    def working(self) -> Iterator[None]:
        """Counts the processor time of a block that does not wait."""
        begun_s = time.thread_time()
        yield
        self.cpu_s += time.thread_time() - begun_s

    def note_bug(self, place: str) -> None:
        self.bugs += 1
        self.last_bug = place

    def restart_stuck(self) -> None:
        """Cancels what it does; its supervisor starts it again."""
        self.stuck_restarts += 1
        self.cancel_run()

    async def wait_begun(self) -> None:
        """Returns after the first heartbeat."""
        await self._begun.wait()

    def is_late(self) -> bool:
        """Whether it has broken its last promise. One that has not begun is late, too."""
        return trio.current_time() > self._due_s


def _nothing() -> None:
    """It is not running."""
