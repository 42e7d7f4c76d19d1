"""The workers: how many, what they survive, what happens when they are all busy."""

import logging

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from broker.contract import QUEUE_LENGTH, WORKERS
from broker.frame import FrameType
from broker.peer import Peer
from tests.broker.conftest import StartPeer
from tests.broker.handlers import GatedHandler, echo
from tests.fakes.frames import RawEnd, number_id
from tests.fakes.streams import memory_streams


@pytest.mark.parametrize("workers", [1, 3, WORKERS])
async def test_so_many_requests_are_handled_at_once(
    start_peer: StartPeer, workers: int, autojump_clock: MockClock
) -> None:
    ours, theirs = memory_streams()
    handler = GatedHandler()
    await start_peer(Peer(theirs, handler=handler, workers=workers))
    raw = RawEnd(ours)
    for number in range(20):
        await raw.send(FrameType.REQUEST, number_id(number), b"%d" % number)
    await wait_all_tasks_blocked()
    assert handler.running == workers
    handler.release_all()
    for _ in range(20):
        await raw.receive_kind(FrameType.RESPONSE)
    assert handler.running_peak == workers
    assert sorted(handler.asked) == sorted(b"%d" % number for number in range(20))


async def test_pool_works_through_many_requests(
    start_peer: StartPeer, autojump_clock: MockClock
) -> None:
    ours, theirs = memory_streams()
    host = Peer(ours, handler=None, calls_limit=200)
    await start_peer(host)
    await start_peer(Peer(theirs, handler=echo))
    answers: set[bytes] = set()

    async def call(number: int) -> None:
        answers.add(await host.call(b"%d" % number))

    async with trio.open_nursery() as nursery:
        for number in range(200):
            nursery.start_soon(call, number)
    assert answers == {b"answer to %d" % number for number in range(200)}


async def test_full_queue_drops_and_the_sender_recovers(
    start_peer: StartPeer, caplog: pytest.LogCaptureFixture, autojump_clock: MockClock
) -> None:
    ours, theirs = memory_streams()
    handler = GatedHandler()
    host = Peer(ours, handler=None, calls_limit=100)
    board = Peer(theirs, handler=handler)
    await start_peer(host)
    await start_peer(board)
    answers: list[bytes] = []

    async def call(number: int) -> None:
        answers.append(await host.call(b"%d" % number))

    async with trio.open_nursery() as nursery:
        for number in range(60):
            nursery.start_soon(call, number)
        await trio.sleep(4.6)  # 0.4 s before anything is sent again by itself
        counters = board.counters()
        assert (counters.in_progress, counters.queued) == (WORKERS, QUEUE_LENGTH)
        assert counters.dropped_requests >= 60 - WORKERS - QUEUE_LENGTH
        assert [record.message for record in caplog.records] == ["requests dropped"]
        start_s = trio.current_time()
        handler.release_all()
    assert trio.current_time() - start_s < 0.05  # invited, not found by back-off
    assert sorted(answers) == sorted(b"answer to %d" % number for number in range(60))
    assert len(handler.asked) == 60
    assert board.counters().frames_out.retry > 0


async def test_dropping_is_logged_at_most_every_ten_seconds(
    start_peer: StartPeer, caplog: pytest.LogCaptureFixture, autojump_clock: MockClock
) -> None:
    ours, theirs = memory_streams()
    await start_peer(Peer(theirs, handler=GatedHandler(), workers=1, queue_length=1))
    raw = RawEnd(ours)
    for number in range(102):  # the first two are taken; ten more each second
        await raw.send(FrameType.REQUEST, number_id(number), b"%d" % number)
        await trio.sleep(0.1)
    await trio.sleep(20)
    await raw.send(FrameType.REQUEST, number_id(1000), b"last")
    await wait_all_tasks_blocked()
    assert [vars(record)["dropped"] for record in caplog.records] == [1, 100]


async def test_waiting_work_starts_when_a_worker_is_free(
    start_peer: StartPeer, autojump_clock: MockClock
) -> None:
    ours, theirs = memory_streams()
    handler = GatedHandler()
    await start_peer(Peer(theirs, handler=handler, workers=1))
    raw = RawEnd(ours)
    for payload in (b"a", b"b"):
        await raw.send(FrameType.REQUEST, number_id(payload[0]), payload)
    await wait_all_tasks_blocked()
    assert handler.asked == [b"a"]
    handler.release(b"a")
    await wait_all_tasks_blocked()
    assert handler.asked == [b"a", b"b"]


async def test_bug_in_the_handler_costs_neither_worker_nor_link(
    start_peer: StartPeer, caplog: pytest.LogCaptureFixture, autojump_clock: MockClock
) -> None:
    async def handler(payload: bytes) -> bytes:
        if payload == b"raise":
            raise RuntimeError("text with secret bytes")
        if payload == b"too much":
            return bytes(1001)
        return await echo(payload)

    ours, theirs = memory_streams()
    host = Peer(ours, handler=None)
    await start_peer(host)
    board = Peer(theirs, handler=handler, workers=1, payload_limit=1000, on_bug=b"sorry")
    await start_peer(board)
    for payload in (b"raise", b"too much", b"raise"):
        assert await host.call(payload) == b"sorry"
    assert await host.call(b"fine") == b"answer to fine"
    assert [record.message for record in caplog.records] == ["request handler failed"] * 3
    assert {record.levelno for record in caplog.records} == {logging.ERROR}
    assert "secret" not in caplog.text
    assert vars(caplog.records[0])["error"] == "RuntimeError"
    assert vars(caplog.records[0])["place"].startswith("test_peer_pool.py:")
