"""What a scenario counted, measured and found wrong. Pure: values that go through JSON."""

import json
from dataclasses import asdict, dataclass
from typing import Any, Final

__all__ = ["Findings", "Measure", "Outcome"]

_TOLD_PROBLEMS: Final = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """A figure and what it may be at most (None: only told)."""

    value: float
    limit: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """A scenario that has been run. `problems` is empty where every promise was kept."""

    name: str
    counts: dict[str, int]
    measures: dict[str, Measure]
    problems: tuple[str, ...]
    elapsed_s: float

    @property
    def passed(self) -> bool:
        return not self.problems

    def to_json(self) -> str:
        return json.dumps(asdict(self))

    @staticmethod
    def from_json(text: str) -> "Outcome":
        """Raises: ValueError, KeyError, TypeError for what `to_json` has not written."""
        fields: dict[str, Any] = json.loads(text)
        measures = {name: Measure(**each) for name, each in fields.pop("measures").items()}
        problems = tuple(fields.pop("problems"))
        return Outcome(measures=measures, problems=problems, **fields)


class Findings:
    """Collects while a scenario runs: a broken promise is noted, and the scenario goes on.

    Args:
        patience: what limits of times and of growth are multiplied with, where the machine does
            other things too, and where a thing is done so seldom that memory which is taken once
            would look like growth.
    """

    def __init__(self, *, patience: float = 1.0) -> None:
        self._patience = patience
        self._counts: dict[str, int] = {}
        self._measures: dict[str, Measure] = {}
        self._problems: list[str] = []
        self._untold = 0

    def count(self, what: str, number: int = 1) -> None:
        self._counts[what] = self._counts.get(what, 0) + number

    def counted(self, what: str) -> int:
        return self._counts.get(what, 0)

    def worst(self, what: str, value: float, limit: float | None = None) -> None:
        """Keeps the greatest of all values; one above `limit` is a problem each time.

        A name that ends in ", s" is a time, one in ", %" growth: their limits get the patience.
        """
        if limit is not None and what.endswith((", s", ", %")):
            limit *= self._patience
        known = self._measures.get(what)
        if known is None or value > known.value:
            self._measures[what] = Measure(value=value, limit=limit)
        if limit is not None:
            self.check(value <= limit, f"{what}: {value:.3g}, at most {limit:g}")

    def check(self, is_kept: bool, promise: str) -> None:
        """`promise` is what to tell where it was not kept."""
        if not is_kept:
            self.fail(promise)

    def fail(self, problem: str) -> None:
        if len(self._problems) < _TOLD_PROBLEMS:
            self._problems.append(problem)
        else:
            self._untold += 1

    def outcome(self, name: str, elapsed_s: float) -> Outcome:
        untold = [f"and {self._untold} more"] if self._untold else []
        return Outcome(
            name=name,
            counts=self._counts,
            measures=self._measures,
            problems=(*self._problems, *untold),
            elapsed_s=elapsed_s,
        )
