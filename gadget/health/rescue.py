"""Starts a task again that shows no sign of life, and ends the process where that does not help.

A task is cancelled and its supervisor starts it anew; it has ten seconds to show itself. After
`attempts` in a row the process is told to end in its usual order, and systemd starts it again. A
blocked event loop is not for here (nothing runs then) but for systemd's watchdog. Nor is a process
that was stopped and goes on: every task is late at the first look then, and gets time until the
next one to show itself. Called by `gadget.watch`.
"""

import logging
from collections.abc import Callable, Iterator, Sequence
from math import isfinite
from typing import Final, final

import trio

from gadget.part import Part

__all__ = ["Rescue"]

logger = logging.getLogger(__name__)

_PATIENCE_S: Final = 10.0
_FORGET_S: Final = 600.0


@final
class Rescue:
    """Call `look` about once a second.

    Args:
        vital: parts that the process is ended for.
        others: parts that are started again, and left alone where that does not help.
        give_up: called once with the part's name; the process is to end.
    """

    def __init__(
        self,
        vital: Sequence[Part],
        others: Sequence[Part],
        *,
        attempts: int,
        give_up: Callable[[str], None],
    ) -> None:
        self._vital = frozenset(part.name for part in vital)
        self._parts = (*vital, *others)
        self._attempts = attempts
        self._give_up = give_up
        self._tries: dict[str, int] = {}
        self._last_s: dict[str, float] = {}
        self._late: frozenset[str] = frozenset()

    def look(self) -> None:
        now_s = trio.current_time()
        late_before, self._late = self._late, frozenset(self._find_late())
        for part in self._parts:
            last_s = self._last_s.get(part.name)
            if part.name in self._late:
                is_waited = last_s is None or now_s - last_s >= _PATIENCE_S
                if is_waited and part.name in late_before:
                    self._last_s[part.name] = now_s
                    self._try(part)
            elif last_s is not None and now_s - last_s >= _FORGET_S:
                del self._last_s[part.name]
                self._tries.pop(part.name, None)

    def _find_late(self) -> Iterator[str]:
        for part in self._parts:
            if part.is_late() and isfinite(part.last_heartbeat_s):
                yield part.name

    def _try(self, part: Part) -> None:
        tries = self._tries.get(part.name, 0)
        self._tries[part.name] = tries + 1
        if tries < self._attempts:
            logger.error("task hangs, starting it again", extra={"part": part.name})
            part.restart_stuck()
        elif tries == self._attempts and part.name in self._vital:
            logger.error("task hangs for good, the process ends", extra={"part": part.name})
            self._give_up(part.name)
