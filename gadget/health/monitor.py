"""The task that looks at the daemon's health, and the report that it answers with.

A report is made anew when the last one is some seconds old, so that a host that asks again and
again costs little. A change of state is a log line, once. What fails in here costs a report and
nothing else: `gadget.supervisor` starts the task again, and the watchdog does not wait for it.
"""

import logging
from dataclasses import dataclass
from math import inf
from typing import Final, Never, final

from broker.health_messages import CLOCK_EPOCH_UNIX_S
from gadget.health.collector import Collector, Sources
from gadget.health.judge import Judge
from gadget.health.report import Report, encode_report
from gadget.part import Part
from gadget.periodic import run_periodically

__all__ = ["Monitor"]

logger = logging.getLogger(__name__)

_FRESH_S: Final = 3.0


@dataclass(frozen=True, slots=True, kw_only=True)
class _Made:
    at_s: float
    report: Report
    data: bytes


@final
class Monitor:
    """One for the daemon."""

    def __init__(self, sources: Sources) -> None:
        self._sources = sources
        self._collector = Collector(sources)
        self._judge = Judge(sources.clock.stamp)
        self._damaged_marks: dict[str, str] = {}
        self._bugs: dict[str, int] = {}
        self._codes: frozenset[str] = frozenset()
        self._made: _Made | None = None

    async def run(self, part: Part) -> Never:
        settings = self._sources.settings
        period_s = float(settings.health_check_interval) if settings.enabled else inf

        async def turn() -> None:
            await self.look(part)

        await run_periodically(part, period_s, turn)

    async def look(self, part: Part) -> Report:
        """One turn: looks, judges, tells what has changed, and lets the crash record be written."""
        sources = self._sources
        with part.working():
            sources.meters.turn_if_due(sources.clock.now_s())
            self._collector.watch_growth()
            self._note_bugs()
        self._damaged_marks = await sources.keyring.health.find_damaged_marks()
        with part.working():
            report = self._make().report
            self._tell(report)
        await sources.crashes.flush()
        return report

    def answer(self, clock_s: int | None) -> bytes:
        """Returns the report for who asks.

        Args:
            clock_s: what time it is, as `broker.health_messages` counts; None: not known.
        """
        clock = self._sources.clock
        if clock_s is not None:
            if clock.stamp(0.0) is None:
                self._made = None  # it can be dated now
            clock.tell(CLOCK_EPOCH_UNIX_S + clock_s)
        made = self._made
        if made is None or clock.now_s() - made.at_s >= _FRESH_S:
            made = self._make()
        return made.data

    def _make(self) -> _Made:
        report = self._judge.judge(self._collector.collect(self._damaged_marks))
        made = _Made(at_s=self._sources.clock.now_s(), report=report, data=encode_report(report))
        self._made = made
        return made

    def _note_bugs(self) -> None:
        """A task that ended with a bug is a crash, though the process goes on."""
        for part in self._sources.parts:
            if part.bugs > self._bugs.get(part.name, 0):
                self._sources.crashes.note(f"task {part.name} failed: {part.last_bug}")
            self._bugs[part.name] = part.bugs

    def _tell(self, report: Report) -> None:
        codes = frozenset(alert.code for alert in report.alerts)
        if codes == self._codes:
            return
        fields = {
            "status": report.status,
            "score": report.health_score,
            "new": " ".join(sorted(codes - self._codes)) or "none",
            "gone": " ".join(sorted(self._codes - codes)) or "none",
        }
        self._codes = codes
        logger.info("health has changed", extra=fields)
