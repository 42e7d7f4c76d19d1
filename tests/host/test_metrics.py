"""The three pages for monitoring: what they say while all is well, and of what is not."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest
import trio
from trio.testing import MockClock

from broker.messages import ErrorCode
from host.board_health import BoardHealth
from host.errors import DeviceGone, HostError, Refused
from host.key_directory import KeyDirectory
from host.metrics_api import MetricsApi
from host.metrics_text import Histogram, Metric, Point, encode_metrics
from host.readiness import Readiness
from host.run_meters import MeteredSigner, RunMeters
from host.session import SessionCounters
from host.signer_api import HttpRequest, HttpResponse
from tests.gadget.health.samples import GOOD, with_key, with_software
from tests.host.fake_board import FakeBoard, describe
from tezos.keys import KeyType


class Board(FakeBoard):
    """A session with a fake board, and a witness that has nothing against it."""

    def __init__(self) -> None:
        super().__init__(KeyType.TZ4, KeyType.TZ1)
        self.session = 1
        self.lock_state = "unlocked"
        self.rolled_back: dict[str, str] = {}
        self.told = trio.Event()

    async def wait_up(self, after: int = 0) -> int:
        while self.session <= after or self.problem is not None:  # noqa: ASYNC110
            await trio.sleep(1)
        return self.session

    async def status(self):  # type: ignore[no-untyped-def]
        await super().status()
        states = (self.lock_state, "unlocked")
        return tuple(
            describe(key_id, signer, lock_state=state)
            for (key_id, signer), state in zip(self.signers.items(), states, strict=False)
        )

    def counters(self) -> SessionCounters:
        return SessionCounters(opened=self.session, lost=self.session - 1, failed=3, repeated=1)


class Pages:
    """The pages of a run with this board."""

    def __init__(self, board: Board, meters: RunMeters, health: BoardHealth) -> None:
        self.board = board
        self.meters = meters
        self.health = health
        self.directory = KeyDirectory()
        self.api = MetricsApi(
            session=board,
            keys=board,
            directory=self.directory,
            readiness=Readiness(board, self.directory),
            health=health,
            meters=meters,
        )

    async def get(self, path: str, method: str = "GET") -> HttpResponse:
        return await self.api.answer(HttpRequest(method=method, path=path))

    async def values(self) -> dict[str, float]:
        text = (await self.get("/metrics")).body.decode()
        lines = [line for line in text.splitlines() if not line.startswith("#")]
        return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines)}


@asynccontextmanager
async def run_pages() -> AsyncIterator[Pages]:
    board, meters = Board(), RunMeters()
    health = BoardHealth(board, meters.note_session)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(health.run)
        await trio.testing.wait_all_tasks_blocked()
        yield Pages(board, meters, health)
        nursery.cancel_scope.cancel()


async def test_host_and_device_are_in_one_page(autojump_clock: MockClock) -> None:
    async with run_pages() as pages:
        page = await pages.get("/metrics")
        assert page.media_type.startswith("text/plain; version=0.0.4")
        await pages.get("/statusz")  # lists the keys
        values = await pages.values()
    assert values["tezsign_up"] == 1
    assert values["tezsign_sessions_opened_total"] == 1
    assert values["tezsign_device_health_score"] == 100
    assert values['tezsign_device_status{status="healthy"}'] == 1
    assert values['tezsign_device_check{check="disk_ok"}'] == 1
    assert values['tezsign_device_latency_seconds{step="total",percentile="p50"}'] == 0.004
    assert values['tezsign_device_queue_peak{queue="requests 0"}'] == 2
    assert values['tezsign_device_queue_peak{queue="marks"}'] == 1
    assert values['tezsign_device_queue{queue="usb 1 out"}'] == 0
    assert values["tezsign_device_thread_stack_peak_bytes"] == 32_768
    address = pages.board.keys[0].address
    assert values[f'tezsign_marks_behind_witness{{key="key0",address="{address}"}}'] == 0
    assert "tezsign_first_answer_seconds" not in values


async def test_a_board_that_does_not_tell_any_more_has_no_figures(
    autojump_clock: MockClock,
) -> None:
    async with run_pages() as pages:
        pages.board.problem = DeviceGone("gone")
        pages.board.failure = pages.board.problem
        await trio.sleep(170)
        assert "tezsign_device_health_score" in await pages.values()
        await trio.sleep(20)
        values = await pages.values()
    assert values["tezsign_up"] == 0
    assert not [name for name in values if name.startswith("tezsign_device_h")]


async def test_an_alert_of_the_board_is_there_within_half_a_minute(
    autojump_clock: MockClock,
) -> None:
    async with run_pages() as pages:
        pages.board.set_health(with_key(lock_state="locked"))
        await trio.sleep(31)
        values = await pages.values()
    assert values['tezsign_device_alert{code="key_locked",level="warning"}'] == 1
    assert values['tezsign_device_key_unlocked{key="consensus",address="tz4a"}'] == 0


async def test_starts_of_the_board_are_counted(autojump_clock: MockClock) -> None:
    async with run_pages() as pages:
        for sample, starts in (
            (with_software(restart_count=2), 2),
            (with_software(restart_count=2), 2),
            (replace(GOOD, boot_id="another"), 3),
        ):
            pages.board.set_health(sample)
            pages.board.session += 1
            await trio.sleep(35)
            assert (await pages.values())["tezsign_device_starts_total"] == starts


async def test_a_board_that_is_too_old_is_asked_once_in_a_session(
    autojump_clock: MockClock,
) -> None:
    async with run_pages() as pages:
        asked = 0

        async def health(clock_s: int | None) -> bytes:
            nonlocal asked
            asked += 1
            raise Refused(ErrorCode.UNKNOWN_REQUEST, "not known")

        pages.board.health = health  # type: ignore[method-assign]
        await trio.sleep(300)
        assert asked == 1
        pages.board.session += 1
        await trio.sleep(300)
        assert asked == 2
        assert pages.health.report is None


async def test_what_the_baker_was_told_is_counted(autojump_clock: MockClock) -> None:
    statuses = [200, 409, 503, 504, 403, 500, 404]

    async def answer(_request: HttpRequest) -> HttpResponse:
        await trio.sleep(0.02)
        return HttpResponse(status=statuses[0])

    async with run_pages() as pages:
        signer = MeteredSigner(answer, pages.meters)
        for path, method in (("/keys/tz4", "GET"), ("/known_keys", "POST")):
            await signer.answer(HttpRequest(method=method, path=path))
        while statuses:
            await signer.answer(HttpRequest(method="POST", path="/keys/tz4"))
            statuses.pop(0)
        values = await pages.values()
        assert values["tezsign_signatures_total"] == 1
        assert values["tezsign_signatures_missed_total"] == 4
        assert values["tezsign_consecutive_failures"] == 4
        assert values['tezsign_refusals_total{reason="watermark"}'] == 1
        assert values['tezsign_refusals_total{reason="board_away"}'] == 1
        assert values['tezsign_sign_seconds_bucket{le="0.02"}'] <= 1
        assert values['tezsign_sign_seconds_bucket{le="0.03"}'] == 1
        assert values['tezsign_sign_seconds_bucket{le="+Inf"}'] == 1
        assert values["tezsign_first_answer_seconds"] == pytest.approx(0.06)
        assert values["tezsign_start_seconds"] == 0
        statuses.append(200)
        await signer.answer(HttpRequest(method="POST", path="/keys/tz4"))
        assert (await pages.values())["tezsign_consecutive_failures"] == 0


async def test_ready_means_every_served_key_can_sign(autojump_clock: MockClock) -> None:
    async with run_pages() as pages:
        page = await pages.get("/statusz")
        assert page.status == 200
        assert json.loads(page.body)["ready"] is True


@pytest.mark.parametrize("fault", ["locked", "rolled back", "away", "silent", "no key"])
async def test_what_keeps_a_key_from_signing_is_said(fault: str, autojump_clock: MockClock) -> None:
    async with run_pages() as pages:
        board = pages.board
        address = board.keys[0].address
        match fault:
            case "locked":
                board.lock_state, problem = "locked", "is locked"
            case "rolled back":
                board.rolled_back[address] = problem = "key0 is not used"
            case "away":
                board.problem, problem = DeviceGone("the board has left"), "the board has left"
            case "silent":
                board.before, problem = trio.sleep_forever, "the board did not answer within 3 s"
            case _:
                board.signers.clear()
                problem = "no key is served"
        page = await pages.get("/statusz")
    assert page.status == 503
    assert problem in page.body.decode()
    assert json.loads(page.body)["ready"] is False


async def test_many_who_ask_are_one_request_to_the_board(autojump_clock: MockClock) -> None:
    async with run_pages() as pages:
        async with trio.open_nursery() as nursery:
            for _ in range(50):
                nursery.start_soon(pages.get, "/statusz")
        assert pages.board.asked.count("status") == 1
        await trio.sleep(1.1)
        await pages.get("/statusz")
        assert pages.board.asked.count("status") == 2


async def test_healthz_asks_nobody_and_other_paths_are_not_there() -> None:
    async with run_pages() as pages:
        pages.board.failure = HostError("broken")
        assert (await pages.get("/healthz")).status == 200
        assert (await pages.get("/keys/tz4")).status == 404
        assert (await pages.get("/metrics", "POST")).status == 405


def test_labels_are_escaped_and_empty_metrics_left_out() -> None:
    point = Point(value=1, labels={"line": 'a "b"\\\nc'})
    metrics = [
        Metric(name="a", kind="gauge", help="A.", points=(point,)),
        Metric(name="b", kind="gauge", help="B."),
    ]
    assert encode_metrics(metrics) == (
        b'# HELP a A.\n# TYPE a gauge\na{line="a \\"b\\"\\\\\\nc"} 1\n'
    )


def test_a_histogram_counts_by_upper_bound() -> None:
    histogram = Histogram((0.1, 0.2))
    for seconds in (0.05, 0.1, 0.15, 9.0):
        histogram.add(seconds)
    assert [point.value for point in histogram.points()] == [2, 3, 4, 9.3, 4]
