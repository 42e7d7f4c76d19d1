"""Whether the tasks of a link still come round. Pure.

A round is begun from outside, at a steady pace; every task that waits is woken and writes down the
round that it sees. So the path of a request pays one store for it, and nobody can show a sign of
life for anybody else. A task that waits for the other end says so, since that may take for ever:
a host that has stopped reading is no fault of ours. Used by `broker.peer`.
"""

from dataclasses import dataclass
from typing import Final, final

__all__ = ["IN_LINK", "Missed", "Pulse", "Turn"]

# The round of a task that waits until the other end takes its bytes.
IN_LINK: Final = -1
_NEVER: Final = -2


@dataclass(frozen=True, slots=True, kw_only=True)
class Missed:
    """The task that has missed most rounds in a row."""

    task: str
    rounds: int


@final
class Turn:
    """One task: it writes `seen`, at the top of its loop, and nothing else."""

    __slots__ = ("missed_rounds", "seen", "task")

    def __init__(self, task: str) -> None:
        self.task: Final = task
        self.seen = _NEVER
        self.missed_rounds = 0


@final
class Pulse:
    """The rounds of one link."""

    __slots__ = ("_turns", "round")

    def __init__(self) -> None:
        self.round = 0
        self._turns: list[Turn] = []

    def join(self, task: str) -> Turn:
        """Adds a task, which has to show itself in every round from now on."""
        turn = Turn(task)
        self._turns.append(turn)
        return turn

    def begin_round(self) -> Missed:
        """Ends a round and begins the next one; returns who has missed most, perhaps none."""
        for turn in self._turns:
            has_come = turn.seen in (self.round, IN_LINK)
            turn.missed_rounds = 0 if has_come else turn.missed_rounds + 1
        self.round += 1
        slowest = max(self._turns, key=lambda turn: turn.missed_rounds, default=Turn("nobody"))
        return Missed(task=slowest.task, rounds=slowest.missed_rounds)
