"""The board's health report, as the host reads it: JSON, from a board of any version.

Pure. What is missing or of another type reads as None, so that an older or newer board shows what
both know. Who asks: `host.commands.health`, `host.board_health`, `host.doctor`.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from broker.health_messages import CLOCK_EPOCH_UNIX_S
from host.errors import BadAnswer

__all__ = ["STATUSES", "HealthAlert", "HealthReport", "clock_at", "parse_health"]

STATUSES: Final = ("healthy", "degraded", "critical")
_CLOCK_LIMIT: Final = 2**31 - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthAlert:
    code: str
    level: str
    message: str
    since: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthReport:
    """`document` is the whole report; `status` is one of `STATUSES`."""

    status: str
    score: int
    alerts: tuple[HealthAlert, ...]
    recommendations: tuple[str, ...]
    document: Mapping[str, object] = field(repr=False)

    def number(self, path: str) -> float | None:
        """Returns the number at `a.b.c`; true is 1."""
        value = self._at(path)
        return float(value) if isinstance(value, int | float) else None

    def text(self, path: str) -> str | None:
        value = self._at(path)
        return value if isinstance(value, str) else None

    def rows(self, path: str) -> tuple[Mapping[str, object], ...]:
        """Returns the objects of a list, which may be empty."""
        value = self._at(path)
        if not isinstance(value, Sequence) or isinstance(value, str):
            return ()
        return tuple(row for row in value if isinstance(row, Mapping))

    def _at(self, path: str) -> object:
        value: object = self.document
        for name in path.split("."):
            if not isinstance(value, Mapping):
                return None
            value = value.get(name)
        return value


def parse_health(data: bytes) -> HealthReport:
    """Raises: BadAnswer: it is no report."""
    try:
        document = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise BadAnswer("the board's health report is not JSON") from error
    if not isinstance(document, dict) or document.get("status") not in STATUSES:
        raise BadAnswer("the board's health report has no status that this tezsign knows")
    score = document.get("health_score")
    advice = document.get("recommendations")
    return HealthReport(
        status=document["status"],
        score=score if isinstance(score, int) else 0,
        alerts=_alerts(document.get("alerts")),
        recommendations=tuple(map(str, advice)) if isinstance(advice, list) else (),
        document=document,
    )


def clock_at(unix_s: float) -> int | None:
    """Returns what a health request tells of the time; None where this clock can't be right."""
    clock_s = int(unix_s) - CLOCK_EPOCH_UNIX_S
    return clock_s if 0 < clock_s <= _CLOCK_LIMIT else None


def _alerts(found: object) -> tuple[HealthAlert, ...]:
    if not isinstance(found, list):
        return ()
    return tuple(
        HealthAlert(
            code=str(alert.get("code")),
            level=str(alert.get("level")),
            message=str(alert.get("message")),
            since=alert["since"] if isinstance(alert.get("since"), str) else None,
        )
        for alert in found
        if isinstance(alert, dict)
    )
