"""The three pages for monitoring, apart from the signer's port: /metrics, /healthz, /statusz.

| page | answer |
|---|---|
| /metrics | Prometheus's text: this process, and what the board told in the last 3 minutes |
| /healthz | 200 while this process answers |
| /statusz | 200 where every served key can sign now, else 503; JSON says which and why not |

Owns the routes and the host's own metrics. Never asks a board but for /statusz. Called by
`host.serving` through `host.http_server`.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Final, Protocol

import trio

from broker.version import VERSION
from host.board_health import BoardHealth
from host.device_metrics import device_metrics
from host.errors import HostError
from host.key_directory import KeyDirectory
from host.metrics_text import CONTENT_TYPE, Metric, Point, encode_metrics
from host.readiness import Readiness
from host.run_meters import RunMeters
from host.session import SessionCounters
from host.signer_api import HttpRequest, HttpResponse, answer_error, not_found

__all__ = ["MetricsApi", "WatchedSession"]

_STALE_S: Final = 180.0
_JSON: Final = "application/json"


class WatchedSession(Protocol):
    @property
    def problem(self) -> HostError | None: ...
    def counters(self) -> SessionCounters: ...


class WatchedKeys(Protocol):
    @property
    def rolled_back(self) -> Mapping[str, str]: ...


class MetricsApi:
    """One per `tezsign run`."""

    def __init__(
        self,
        *,
        session: WatchedSession,
        keys: WatchedKeys,
        directory: KeyDirectory,
        readiness: Readiness,
        health: BoardHealth,
        meters: RunMeters,
    ) -> None:
        self._session = session
        self._keys = keys
        self._directory = directory
        self._readiness = readiness
        self._health = health
        self._meters = meters

    async def answer(self, request: HttpRequest) -> HttpResponse:
        if request.method not in ("GET", "HEAD"):
            return answer_error(405, "this path allows GET, HEAD")
        match request.path:
            case "/metrics":
                return HttpResponse(
                    status=200, body=encode_metrics(self._metrics()), media_type=CONTENT_TYPE
                )
            case "/healthz":
                return _json(200, {"alive": True, "version": VERSION})
            case "/statusz":
                state = await self._readiness.look()
                return _json(200 if state.is_ready else 503, state.describe())
        return not_found()

    def _metrics(self) -> Iterator[Metric]:
        yield from self._session_metrics()
        yield from self._request_metrics()
        yield _gauge("tezsign_marks_behind_witness",
                     "1: the board's marks are behind what this host has seen it sign.",
                     *self._rollbacks())  # fmt: skip
        yield _gauge("tezsign_info", "What runs here.", Point(value=1, labels={"version": VERSION}))
        report = self._health.report
        if report is not None and self._health.age_s() < _STALE_S:
            yield from device_metrics(report)

    def _session_metrics(self) -> Iterator[Metric]:
        counters, meters = self._session.counters(), self._meters
        uptime_s = trio.current_time() - meters.started_s
        yield _gauge(
            "tezsign_up",
            "1: a session with the board is up.",
            Point(value=self._session.problem is None),
        )
        yield _gauge(
            "tezsign_uptime_seconds", "Since tezsign run was started.", Point(value=uptime_s)
        )
        yield _counter("tezsign_sessions_opened_total", "Sessions with the board.", counters.opened)
        yield _counter(
            "tezsign_sessions_lost_total", "Sessions that ended by themselves.", counters.lost
        )
        yield _counter(
            "tezsign_session_attempts_failed_total",
            "Tries to open one that failed.",
            counters.failed,
        )
        yield _counter(
            "tezsign_reconnects_total", "Sessions after the first.", max(0, counters.opened - 1)
        )
        yield _counter(
            "tezsign_requests_repeated_total",
            "Requests sent on a second session.",
            counters.repeated,
        )
        yield _counter(
            "tezsign_device_starts_total",
            "Starts of the board's signer seen from here.",
            self._health.starts,
        )
        for name, text, value in (
            ("tezsign_start_seconds", "Until the first session.", meters.first_session_s),
            (
                "tezsign_first_answer_seconds",
                "Until the first signature.",
                meters.first_signature_s,
            ),
        ):
            if value is not None:
                yield _gauge(name, text, Point(value=value))

    def _request_metrics(self) -> Iterator[Metric]:
        meters = self._meters
        yield _counter("tezsign_signatures_total", "Signatures that were given out.", meters.signed)
        yield _counter(
            "tezsign_signatures_missed_total",
            "Requests for a signature that the board's state left without one.",
            meters.missed,
        )
        yield Metric(
            name="tezsign_refusals_total",
            kind="counter",
            help="Requests for a signature that got none.",
            points=tuple(
                Point(value=count, labels={"reason": reason})
                for reason, count in sorted(meters.refusals.items())
            ),
        )
        yield _gauge(
            "tezsign_consecutive_failures",
            "Requests without a signature, in a row.",
            Point(value=meters.consecutive_failures),
        )
        yield Metric(
            name="tezsign_sign_seconds",
            kind="histogram",
            help="From the baker's request to its signature.",
            points=tuple(meters.times.points()),
        )

    def _rollbacks(self) -> Iterator[Point]:
        rolled_back = self._keys.rolled_back
        for key in self._directory.keys:
            labels = {"key": key.alias, "address": key.address}
            yield Point(value=key.address in rolled_back, labels=labels)


def _gauge(name: str, help_text: str, *points: Point) -> Metric:
    return Metric(name=name, kind="gauge", help=help_text, points=points)


def _counter(name: str, help_text: str, value: float) -> Metric:
    return Metric(name=name, kind="counter", help=help_text, points=(Point(value=value),))


def _json(status: int, value: object) -> HttpResponse:
    return HttpResponse(status=status, body=json.dumps(value).encode(), media_type=_JSON)
