"""Asks the board how it is, each half minute and at each new session, and tells it the time.

Owns the last report, which `/metrics` shows, and the log line for each new alert. One of the tasks
of `host.serving`; a board that is too old to tell is asked once in a session.
"""

import logging
import time
from collections.abc import Callable
from math import inf
from typing import Final, Protocol

import trio

from broker.messages import ErrorCode
from host.errors import HostError, Refused
from host.health_report import HealthReport, clock_at, parse_health

__all__ = ["BoardHealth", "HealthBoard"]

logger = logging.getLogger(__name__)

_PERIOD_S: Final = 30.0
_ANSWER_S: Final = 5.0


class HealthBoard(Protocol):
    async def wait_up(self, after: int = 0) -> int: ...
    async def health(self, clock_s: int | None) -> bytes: ...


class BoardHealth:
    """One per `tezsign run`.

    Attributes:
        report: the last one; None before the first, and where the board does not tell.
        starts: how often the board's signer was seen to start, beside the first time.

    Args:
        on_session: called for each new session.
    """

    def __init__(self, board: HealthBoard, on_session: Callable[[], None]) -> None:
        self.report: HealthReport | None = None
        self.starts = 0
        self._board = board
        self._on_session = on_session
        self._seen_s = 0.0
        self._start: tuple[str | None, float] | None = None
        self._codes: frozenset[str] = frozenset()

    def age_s(self) -> float:
        return trio.current_time() - self._seen_s

    async def run(self) -> None:
        """Runs until it is cancelled."""
        number = 0
        while True:
            session = await self._board.wait_up()
            if session != number:
                self._on_session()
            number = session
            tells = await self._look()
            with trio.move_on_after(_PERIOD_S if tells else inf):
                await self._board.wait_up(number)

    async def _look(self) -> bool:
        """Returns whether asking again in this session makes sense."""
        try:
            with trio.fail_after(_ANSWER_S):
                report = parse_health(await self._board.health(clock_at(time.time())))
        except Refused as error:
            self.report = None
            return error.code != ErrorCode.UNKNOWN_REQUEST
        except (HostError, trio.TooSlowError):
            return True
        self._take(report)
        return True

    def _take(self, report: HealthReport) -> None:
        self.report = report
        self._seen_s = trio.current_time()
        self._note_start(report)
        codes = frozenset(alert.code for alert in report.alerts)
        if codes != self._codes:
            fields = {
                "status": report.status,
                "score": report.score,
                "alerts": "; ".join(alert.message for alert in report.alerts) or "none",
            }
            level = logging.INFO if report.status == "healthy" else logging.WARNING
            logger.log(level, "the board's health has changed", extra=fields)
        self._codes = codes

    def _note_start(self, report: HealthReport) -> None:
        """Another boot, or another start in the same one: as the board counts them."""
        restarts = report.number("software_health.restart_count") or 0.0
        start = (report.text("boot_id"), restarts)
        if self._start is not None and start != self._start:
            is_same_boot = start[0] == self._start[0]
            before = self._start[1] if is_same_boot else -1
            self.starts += max(1, int(restarts - before))
        self._start = start
