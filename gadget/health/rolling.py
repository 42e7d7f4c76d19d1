"""Counts by name over the last hour, and since the start. Pure.

Names come from our own code, so there are few; what is over the limit is counted as "other".
"""

from collections import Counter, deque
from dataclasses import dataclass
from typing import Final, final

from broker.latency import SLOTS

__all__ = ["NamedCount", "RollingCounts"]

_NAMES_LIMIT: Final = 32
_OTHER: Final = "other"


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedCount:
    """`last_hour` of things that `total` counts since the start of the process."""

    name: str
    last_hour: int
    total: int


@final
class RollingCounts:
    """The owner calls `turn` each five minutes, as `broker.latency` is turned."""

    def __init__(self) -> None:
        self._totals: Counter[str] = Counter()
        self._slot: Counter[str] = Counter()
        self._past: deque[Counter[str]] = deque(maxlen=SLOTS - 1)

    def count(self, name: str, amount: int = 1) -> None:
        if name not in self._totals and len(self._totals) >= _NAMES_LIMIT:
            name = _OTHER
        self._totals[name] += amount
        self._slot[name] += amount

    def turn(self) -> None:
        """Five minutes are over."""
        self._past.append(self._slot)
        self._slot = Counter()

    def last_hour(self, name: str) -> int:
        return self._slot[name] + sum(slot[name] for slot in self._past)

    def total(self, name: str) -> int:
        return self._totals[name]

    def figures(self) -> tuple[NamedCount, ...]:
        return tuple(
            NamedCount(name=name, last_hour=self.last_hour(name), total=total)
            for name, total in sorted(self._totals.items())
        )
