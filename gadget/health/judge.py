"""From a sample to a report: alerts, checks, score, state, advice. Pure.

Called by `gadget.health.monitor`, once in each interval and when somebody asks.
"""

from collections.abc import Callable, Sequence
from dataclasses import fields
from typing import Final, final

from gadget.health.report import SCHEMA, Alert, Checks, Report, Sample
from gadget.health.rule import CRITICAL, INFO, WARNING, Rule
from gadget.health.rules import RULES

__all__ = ["Judge"]

_POINTS: Final = {CRITICAL: 40, WARNING: 10, INFO: 0}
_MESSAGE_CHARACTERS: Final = 300


@final
class Judge:
    """Remembers since when each alert holds, and nothing else.

    Args:
        stamp: the UTC of a boot time, None while that is not known.
    """

    def __init__(self, stamp: Callable[[float], str | None], rules: Sequence[Rule] = RULES) -> None:
        self._stamp = stamp
        self._rules = rules
        self._since_s: dict[str, float] = {}

    def judge(self, sample: Sample) -> Report:
        found = [(rule, message) for rule in self._rules if (message := rule.find(sample))]
        alerts = tuple(self._alert(rule, message, sample) for rule, message in found)
        self._since_s = {alert.code: alert.since_boottime_seconds for alert in alerts}
        levels = [alert.level for alert in alerts]
        return Report(
            schema=SCHEMA,
            status=_status(levels),
            health_score=max(0, 100 - sum(_POINTS[level] for level in levels)),
            timestamp=sample.timestamp,
            boot_id=sample.boot_id,
            boottime_seconds=sample.boottime_seconds,
            uptime_seconds=sample.software_health.uptime_seconds,
            checks=_checks([rule for rule, _ in found]),
            alerts=alerts,
            recommendations=tuple(dict.fromkeys(rule.advice for rule, _ in found)),
            software_health=sample.software_health,
            signing=sample.signing,
            usb=sample.usb,
            keys=sample.keys,
            storage=sample.storage,
            board=sample.board,
            log=sample.log,
            settings=sample.settings,
        )

    def _alert(self, rule: Rule, message: str, sample: Sample) -> Alert:
        since_s = self._since_s.get(rule.code, sample.boottime_seconds)
        return Alert(
            code=rule.code,
            level=rule.level,
            message=message[:_MESSAGE_CHARACTERS],
            since=self._stamp(since_s),
            since_boottime_seconds=since_s,
        )


def _status(levels: Sequence[str]) -> str:
    if CRITICAL in levels:
        return "critical"
    return "degraded" if WARNING in levels else "healthy"


def _checks(rules: Sequence[Rule]) -> Checks:
    failed = {rule.check for rule in rules if rule.level != INFO}
    return Checks(**{field.name: field.name not in failed for field in fields(Checks)})
