"""From what was seen to PASSED, WARNING or FAILED. Pure.

Memory passes where the upper 95 % bound of its slope is at most 1 MiB/h. A short run can't show
that. It is held to the bound that its length allows: 256 KiB in all (3 MiB for tezsign run), which
a sound process still takes late in its warm-up, or the width of the interval where noise makes that
larger. It fails where the lower bound is above that; what lies between is a warning, and so is
noise that could hide 2 MiB.

Counts have a floor, what is there when nothing goes on: the least value of each quarter. A leak
raises it quarter after quarter, a late start once.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import pairwise
from typing import Final

from tests.soak.growth import Growth, Point, floors, measure_growth
from tests.soak.rules import RULES, Kind, Rule
from tests.soak.series import HOST, LOAD, Metric, Run

__all__ = ["LIMIT_KIB_PER_HOUR", "Finding", "Verdict", "judge", "overall", "warm_up_of"]

LIMIT_KIB_PER_HOUR: Final = 1024.0
_LONG_S: Final = 1800.0
_ONCE_KIB: Final = 256.0
# Garbage in cycles waits until it is a quarter of all objects (gc, oldest generation): 13,000 of
# the 52,000 that tezsign run has. The daemon's are frozen at its start, its garbage is none.
_HOST_ONCE_KIB: Final = 3072.0
_HIDDEN_KIB: Final = 2048.0
_HOUR_S: Final = 3600.0
_QUARTERS: Final = 4
_STALL_S: Final = 30.0
_NEEDED: Final = ("signed", "status", "unlock", "junk", "unplugged")
# 503 and 504 are what a baker is told while the board is away; the other failures are of hosts that
# meet a board that was unplugged under them, or that somebody else has claimed.
_PASSING: Final = (
    *("sign failed: 503", "sign failed: 504", "junk failed", "session failed: DeviceGone"),
    *("session failed: NoDevice", "session failed: NotReady", "session failed: DeviceBusy"),
    *("session failed: DeviceSilent",),
)


class Verdict(StrEnum):
    """In order of badness."""

    PASSED = "PASSED"
    WARNING = "WARNING"
    FAILED = "FAILED"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What one metric of one process says.

    Args:
        growth: of what is judged by its slope; KiB for each hour.
        bound: what that growth's upper bound had to stay below.
    """

    process: str
    metric: str
    verdict: Verdict
    reason: str
    first: float = 0.0
    last: float = 0.0
    growth: Growth | None = None
    bound: float | None = None


def warm_up_of(duration_s: float) -> float:
    """Two minutes, or the first third of a run that is short."""
    return min(120.0, duration_s / 3)


def overall(findings: tuple[Finding, ...]) -> Verdict:
    order = list(Verdict)
    return max((finding.verdict for finding in findings), key=order.index)


def judge(run: Run, warm_up_s: float) -> tuple[Finding, ...]:
    """Raises: ValueError where there are too few samples to say anything."""
    return (*_judge_metrics(run, warm_up_s), *_judge_counts(run.counts))


def _judge_metrics(run: Run, warm_up_s: float) -> Iterator[Finding]:
    for process, metric in run.names():
        points = [point for point in run.series(process, metric) if point[0] >= warm_up_s]
        rule = RULES[metric]
        match rule.kind:
            case Kind.MEMORY:
                yield _judge_memory(process, metric, rule, points)
            case Kind.COUNT:
                yield _judge_floor(process, metric, rule, points)
            case Kind.PROGRESS:
                yield _judge_progress(process, metric, points)
            case Kind.SHOWN:
                yield _describe(process, metric, points, Verdict.PASSED, "not judged")


def _judge_memory(process: str, metric: Metric, rule: Rule, points: list[Point]) -> Finding:
    growth = measure_growth(points, step=rule.step)
    hours = growth.length_s / _HOUR_S
    width = growth.upper - growth.lower
    is_long = growth.length_s >= _LONG_S
    once = _HOST_ONCE_KIB if process == HOST else _ONCE_KIB
    bound = LIMIT_KIB_PER_HOUR if is_long else max(LIMIT_KIB_PER_HOUR, once / hours, width)
    if growth.upper <= bound:
        verdict, reason = Verdict.PASSED, "no growth beyond the bound"
        if not is_long and width * hours > _HIDDEN_KIB:
            verdict, reason = Verdict.WARNING, "so noisy that much growth could hide in it"
    elif growth.lower <= bound:
        verdict, reason = Verdict.WARNING, "not shown to stay below the bound"
    else:
        verdict, reason = Verdict.FAILED, "grows"
    finding = _describe(process, metric, points, _temper(verdict, rule), reason)
    return replace(finding, growth=growth, bound=bound)


def _judge_floor(process: str, metric: Metric, rule: Rule, points: list[Point]) -> Finding:
    quarters = floors(points, _QUARTERS)
    verdict, reason = Verdict.PASSED, "the floor does not rise"
    if quarters[-1] - quarters[0] > rule.tolerance:
        rises = sum(later > earlier for earlier, later in pairwise(quarters))
        falls = any(later < earlier for earlier, later in pairwise(quarters))
        if falls or rises < 2:
            verdict, reason = Verdict.WARNING, "the floor has risen once"
        else:
            verdict, reason = Verdict.FAILED, "the floor rises again and again"
    shown = ", ".join(f"{floor:g}" for floor in quarters)
    reason = f"{reason}: {shown}"
    return _describe(process, metric, points, _temper(verdict, rule), reason)


def _judge_progress(process: str, metric: Metric, points: list[Point]) -> Finding:
    last_s, most, longest_s = points[0][0], points[0][1], 0.0
    for at_s, value in points:
        longest_s = max(longest_s, at_s - last_s)
        if value > most:
            last_s, most = at_s, value
    verdict = Verdict.FAILED if longest_s > _STALL_S else Verdict.PASSED
    return _describe(process, metric, points, verdict, f"longest pause {longest_s:.1f} s")


def _judge_counts(counts: Mapping[str, int]) -> Iterator[Finding]:
    for name in _NEEDED:
        if not counts.get(name):
            yield _count(name, 0, Verdict.FAILED, "the load did not do this")
    for name, number in counts.items():
        if name not in _NEEDED:
            passes = name.startswith(_PASSING)
            reason = "expected while the board is away" if passes else "must not happen"
            yield _count(name, number, Verdict.PASSED if passes else Verdict.FAILED, reason)
        else:
            yield _count(name, number, Verdict.PASSED, "done")


def _count(name: str, number: int, verdict: Verdict, reason: str) -> Finding:
    return Finding(process=LOAD, metric=name, verdict=verdict, reason=reason, last=number)


def _describe(
    process: str, metric: Metric, points: list[Point], verdict: Verdict, reason: str
) -> Finding:
    return Finding(
        process=process,
        metric=metric,
        verdict=verdict,
        reason=reason,
        first=points[0][1],
        last=points[-1][1],
    )


def _temper(verdict: Verdict, rule: Rule) -> Verdict:
    return Verdict.WARNING if verdict is Verdict.FAILED and not rule.is_fatal else verdict
