"""Requests and answers through two peers, and through one whose other end is played by hand."""

from functools import partial

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from broker.errors import Overload
from broker.frame import Frame, FrameType
from broker.peer import Peer
from tests.broker.conftest import StartPeer
from tests.broker.handlers import GatedHandler, echo
from tests.fakes.frames import RawEnd, number_id
from tests.fakes.streams import memory_streams


def test_peer_without_room_for_one_is_refused() -> None:
    make = partial(Peer, memory_streams()[0], handler=echo)
    for make_wrong in (
        partial(make, workers=0),
        partial(make, queue_length=0),
        partial(make, calls_limit=0),
    ):
        with pytest.raises(ValueError, match="one"):
            make_wrong()


def test_peer_says_whether_it_serves() -> None:
    """There is no default handler: an end that serves can't forget its own."""
    stream, _ = memory_streams()
    with pytest.raises(TypeError, match="handler"):
        Peer(stream)  # type: ignore[call-arg]


def test_bug_answer_over_the_limit_is_refused() -> None:
    stream, _ = memory_streams()
    with pytest.raises(ValueError, match="on_bug"):
        Peer(stream, handler=echo, payload_limit=10, on_bug=bytes(11))


async def test_call_gets_the_answer(start_peer: StartPeer, autojump_clock: MockClock) -> None:
    ours, theirs = memory_streams()
    host, board = Peer(ours, handler=None), Peer(theirs, handler=echo)
    await start_peer(host)
    await start_peer(board)
    assert await host.call(b"request") == b"answer to request"
    assert await host.call(b"") == b"answer to "
    counters = board.counters()
    assert (counters.frames_in.request, counters.frames_out.response) == (2, 2)
    assert counters.frames_out.accept == 2
    assert host.counters().resends == 0


@pytest.mark.parametrize("size", [511, 512, 513, 1023, 1024, 1025, 16383, 16384, 16385, 262_134])
async def test_each_size_of_frame_crosses(
    start_peer: StartPeer, size: int, autojump_clock: MockClock
) -> None:
    ours, theirs = memory_streams()
    host = Peer(ours, handler=None)
    await start_peer(host)
    await start_peer(Peer(theirs, handler=echo))
    payload = bytes(size - 23) if size < 200_000 else bytes(size)
    assert await host.call(payload) == b"answer to " + payload


async def test_answers_reach_their_callers_in_any_order(
    start_peer: StartPeer, nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    ours, theirs = memory_streams()
    handler = GatedHandler()
    host = Peer(ours, handler=None)
    await start_peer(host)
    await start_peer(Peer(theirs, handler=handler))
    answers: list[bytes] = []

    async def call(payload: bytes) -> None:
        answers.append(await host.call(payload))

    payloads = [bytes([letter]) for letter in b"abcdefgh"]
    for payload in payloads:
        nursery.start_soon(call, payload)
    await wait_all_tasks_blocked()
    for payload in reversed(payloads):
        handler.release(payload)
        await wait_all_tasks_blocked()
    assert answers == [b"answer to " + payload for payload in reversed(payloads)]


async def test_accept_leaves_before_the_work_is_done(
    start_peer: StartPeer, autojump_clock: MockClock
) -> None:
    ours, theirs = memory_streams()
    handler = GatedHandler()
    await start_peer(Peer(theirs, handler=handler))
    raw = RawEnd(ours)
    await raw.send(FrameType.REQUEST, number_id(1), b"request")
    assert await raw.receive() == Frame(FrameType.ACCEPT, number_id(1))
    assert handler.running == 1
    handler.release_all()
    assert await raw.receive() == Frame(FrameType.RESPONSE, number_id(1), b"answer to request")


async def test_duplicate_in_progress_is_ignored_and_answered_again_later(
    start_peer: StartPeer, autojump_clock: MockClock
) -> None:
    ours, theirs = memory_streams()
    handler = GatedHandler()
    board = Peer(theirs, handler=handler)
    await start_peer(board)
    raw = RawEnd(ours)
    for _ in range(3):
        await raw.send(FrameType.REQUEST, number_id(1), b"request")
    await wait_all_tasks_blocked()
    handler.release_all()
    answer = Frame(FrameType.RESPONSE, number_id(1), b"answer to request")
    assert [await raw.receive(), await raw.receive()] == [
        Frame(FrameType.ACCEPT, number_id(1)),
        answer,
    ]
    await raw.send(FrameType.REQUEST, number_id(1), b"request")
    assert await raw.receive() == answer
    assert handler.asked == [b"request"]
    assert board.counters().duplicates == 3


async def test_cancelled_call_is_forgotten_and_its_late_answer_ignored(
    start_peer: StartPeer, autojump_clock: MockClock
) -> None:
    ours, theirs = memory_streams()
    host = Peer(ours, handler=None)
    await start_peer(host)
    raw = RawEnd(theirs)
    with trio.move_on_after(5) as scope:
        await host.call(b"request")
    assert scope.cancelled_caught
    assert host.counters().calls_waiting == 0
    request = await raw.receive()
    await raw.send(FrameType.RESPONSE, request.id, b"late")
    await wait_all_tasks_blocked()
    assert host.counters().unknown_answers == 1


async def test_call_that_can_not_be_written_respects_its_deadline(
    start_peer: StartPeer, autojump_clock: MockClock
) -> None:
    ours, theirs = memory_streams(capacity=1)
    host = Peer(ours, handler=None)
    await start_peer(host)
    await ours.send(b"x")  # nobody reads: the next send waits
    for _ in range(3):
        with trio.move_on_after(5) as scope:
            await host.call(b"request")
        assert scope.cancelled_caught
    assert trio.current_time() == pytest.approx(15)
    assert host.counters().calls_waiting == 0
    await start_peer(Peer(theirs, handler=echo))
    assert await host.call(b"request") == b"answer to request"


async def test_too_many_calls_are_refused_at_once(
    start_peer: StartPeer, autojump_clock: MockClock
) -> None:
    ours, theirs = memory_streams()
    host = Peer(ours, handler=None, calls_limit=2)
    await start_peer(host)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(host.call, b"first")
        nursery.start_soon(host.call, b"second")
        await wait_all_tasks_blocked()
        assert host.counters().calls_waiting == 2
        with pytest.raises(Overload):
            await host.call(b"third")
        nursery.cancel_scope.cancel()
    await start_peer(Peer(theirs, handler=echo))
    assert await host.call(b"fourth") == b"answer to fourth"


async def test_oversized_request_is_refused(
    start_peer: StartPeer, autojump_clock: MockClock
) -> None:
    ours, _ = memory_streams()
    host = Peer(ours, handler=None, payload_limit=100)
    await start_peer(host)
    with pytest.raises(ValueError, match="too many"):
        await host.call(bytes(101))
    assert host.counters().calls_waiting == 0


async def test_end_that_only_asks_drops_requests(
    start_peer: StartPeer, caplog: pytest.LogCaptureFixture, autojump_clock: MockClock
) -> None:
    ours, theirs = memory_streams()
    host = Peer(ours, handler=None)
    await start_peer(host)
    raw = RawEnd(theirs)
    for number in range(50):
        await raw.send(FrameType.REQUEST, number_id(number), b"secret")
    await wait_all_tasks_blocked()
    assert host.counters().dropped_requests == 50
    assert [record.message for record in caplog.records] == ["requests dropped"]


async def test_calls_leave_nothing_behind(start_peer: StartPeer, autojump_clock: MockClock) -> None:
    ours, theirs = memory_streams()
    host, board = Peer(ours, handler=None), Peer(theirs, handler=echo)
    await start_peer(host)
    await start_peer(board)
    for _ in range(20):
        await host.call(b"request")
        with trio.move_on_after(0):
            await host.call(b"request")
    assert host.counters().calls_waiting == 0
    assert len(host._scopes) == 1  # that of its tasks


async def test_counters_show_a_moment(start_peer: StartPeer, autojump_clock: MockClock) -> None:
    ours, theirs = memory_streams()
    handler = GatedHandler()
    board = Peer(theirs, handler=handler, workers=2, queue_length=3)
    await start_peer(board)
    raw = RawEnd(ours)
    for number in range(7):
        await raw.send(FrameType.REQUEST, number_id(number), b"%d" % number)
        await wait_all_tasks_blocked()
    counters = board.counters()
    assert (counters.in_progress, counters.queued, counters.queued_peak) == (2, 3, 3)
    assert counters.dropped_requests == 2
    handler.release_all()
