"""The message that asks how the board is. Pure values.

The report is JSON with a version of its own (docs/health.md): it grows with the board's software,
and a host of another version shows what it knows of it. Callers import these from
`broker.messages`.
"""

from dataclasses import dataclass
from typing import ClassVar, Final

from broker import bounds

__all__ = ["CLOCK_EPOCH_UNIX_S", "HEALTH_REPORT_LIMIT", "HealthRequest", "HealthResponse"]

HEALTH_REPORT_LIMIT: Final = 48 * 1024
# 2020-01-01: with that the numbers of a message hold until 2088.
CLOCK_EPOCH_UNIX_S: Final = 1_577_836_800


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthRequest:
    """Asks for the report, and tells the time to a board that has no clock.

    `clock_s`: seconds since 2020-01-01 UTC; None: the host is not sure of it either. It dates log
    lines and reports, and decides nothing.
    """

    op: ClassVar[str] = "health"
    clock_s: int | None

    def __post_init__(self) -> None:
        bounds.check_number("clock_s", self.clock_s)


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthResponse:
    """`report`: JSON, at most 48 KiB."""

    op: ClassVar[str] = "health"
    report: bytes

    def __post_init__(self) -> None:
        bounds.check_size("report", self.report, HEALTH_REPORT_LIMIT)
