"""A soak's findings as lines for a person and as a record for programs. Pure."""

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any, Final

from tests.soak.rules import RULES, Kind
from tests.soak.series import Metric
from tests.soak.verdict import LIMIT_KIB_PER_HOUR, Finding, Verdict, overall

__all__ = ["encode_record", "tell"]

_MIB: Final = 1024.0


def tell(findings: tuple[Finding, ...], warm_up_s: float, *, show_all: bool) -> Iterator[str]:
    """Yields the lines. Without `show_all`: memory, all that did not pass, and what was done."""
    yield f"\nwarm-up {warm_up_s:.0f} s, then:"
    for finding in findings:
        if show_all or finding.verdict is not Verdict.PASSED or finding.growth is not None:
            yield f"  {finding.verdict:8}{_tell_finding(finding)}"
            if show_all or finding.verdict is not Verdict.PASSED:
                yield from _tell_expected(finding)
    done = [finding for finding in findings if finding.metric not in set(Metric)]
    yield "  " + ", ".join(f"{finding.metric} {finding.last:.0f}" for finding in done)
    yield f"{overall(findings)}"


def encode_record(
    findings: tuple[Finding, ...], duration_s: float, warm_up_s: float
) -> dict[str, Any]:
    """What is kept of a run beside its samples."""
    return {
        "verdict": overall(findings),
        "duration_s": duration_s,
        "warm_up_s": warm_up_s,
        "limit_kib_per_hour": LIMIT_KIB_PER_HOUR,
        "findings": [asdict(finding) for finding in findings],
    }


def _tell_finding(finding: Finding) -> str:
    name = f"{finding.process}: {finding.metric}"
    text = f"{name:34} {finding.first:9.0f} -> {finding.last:9.0f}  "
    if finding.growth is not None and finding.bound is not None:
        growth = finding.growth
        text += (
            f"{growth.slope / _MIB:+.2f} MiB/h, 95 % from {growth.lower / _MIB:+.2f}"
            f" to {growth.upper / _MIB:+.2f}; the bound of {growth.length_s:.0f} s is"
            f" {finding.bound / _MIB:.2f}; "
        )
    return text + finding.reason


def _tell_expected(finding: Finding) -> Iterator[str]:
    if finding.metric in set(Metric):
        rule = RULES[Metric(finding.metric)]
        if rule.kind is not Kind.PROGRESS:
            yield f"{'':12}expected: {rule.expected}"
