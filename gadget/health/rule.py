"""What a rule is, for the files that list them. Pure."""

from collections.abc import Callable, Iterable
from typing import Final, NamedTuple

from gadget.health.report import Sample
from gadget.health.rolling import NamedCount

__all__ = ["CRITICAL", "INFO", "WARNING", "Rule", "hourly"]

CRITICAL: Final = "critical"
WARNING: Final = "warning"
INFO: Final = "info"


class Rule(NamedTuple):
    """`check` is the field of `Checks` that turns false, None where there is none; an alert of
    level info turns none. `find` returns the alert's message, or "".
    """

    code: str
    check: str | None
    level: str
    find: Callable[[Sample], str]
    advice: str


def hourly(counts: Iterable[NamedCount], *names: str) -> int:
    """Returns how often these were counted in the last hour."""
    return sum(count.last_hour for count in counts if count.name in names)
