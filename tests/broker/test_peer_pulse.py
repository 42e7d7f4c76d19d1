"""A pulse goes through every task of a link, whatever it waits for, and is felt by no request."""

from collections.abc import Awaitable, Callable

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from broker.contract import WORKERS
from broker.frame import Frame, FrameType, encode_frame
from broker.peer import Peer
from tests.broker.conftest import StartPeer
from tests.broker.handlers import GatedHandler, echo
from tests.fakes.frames import RawEnd, number_id
from tests.fakes.streams import MemoryStream, memory_streams


async def count_missed(peer: Peer, rounds: int) -> int:
    """Takes so many pulses, each with time to answer, and returns what the last one says."""
    for _ in range(rounds):
        missed = peer.take_pulse()
        await wait_all_tasks_blocked()
    return missed.rounds


async def test_idle_peer_misses_no_round(start_peer: StartPeer, autojump_clock: MockClock) -> None:
    _, theirs = memory_streams()
    board = Peer(theirs, handler=echo)
    await start_peer(board)
    await wait_all_tasks_blocked()
    assert await count_missed(board, 20) == 0


async def test_peer_that_only_asks_misses_no_round(
    start_peer: StartPeer, autojump_clock: MockClock
) -> None:
    ours, _ = memory_streams()
    host = Peer(ours, handler=None)
    await start_peer(host)
    await wait_all_tasks_blocked()
    assert await count_missed(host, 20) == 0


async def test_each_request_is_handled_once_while_pulses_go_through(
    start_peer: StartPeer, autojump_clock: MockClock
) -> None:
    ours, theirs = memory_streams()
    host, board = Peer(ours, handler=None), Peer(theirs, handler=echo)
    await start_peer(host)
    await start_peer(board)
    for number in range(200):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(host.call, b"%d" % number)
            for _ in range(number % 7):
                await trio.lowlevel.checkpoint()
            # At each step of a request's way, also while its bytes are on their way to the reader.
            assert board.take_pulse().rounds <= 1
    counters = board.counters()
    assert counters.frames_in.request == 200
    assert (counters.duplicates, counters.skipped_bytes) == (0, 0)


async def test_bytes_that_came_before_the_pulse_are_taken(
    start_peer: StartPeer, autojump_clock: MockClock
) -> None:
    """The reader has its bytes and has not run yet: they must not go with the cancelled wait."""
    ours, theirs = memory_streams()
    board = Peer(theirs, handler=echo)
    await start_peer(board)
    raw = RawEnd(ours)
    await wait_all_tasks_blocked()
    for number in range(20):
        await raw.send(FrameType.REQUEST, number_id(number), b"%d" % number)
        board.take_pulse()
        with trio.fail_after(5):
            answer = await raw.receive_kind(FrameType.RESPONSE)
        assert answer.payload == b"answer to %d" % number
    assert board.counters().duplicates == 0


async def test_a_part_of_a_frame_survives_a_pulse(
    start_peer: StartPeer, autojump_clock: MockClock
) -> None:
    ours, theirs = memory_streams()
    board = Peer(theirs, handler=echo)
    await start_peer(board)
    raw = RawEnd(ours)
    frame = encode_frame(Frame(FrameType.REQUEST, number_id(1), b"in two parts"))
    await ours.send(frame[:30])
    await wait_all_tasks_blocked()
    assert await count_missed(board, 3) == 0
    await ours.send(frame[30:])
    with trio.fail_after(5):
        answer = await raw.receive_kind(FrameType.RESPONSE)
    assert answer.payload == b"answer to in two parts"


async def test_busy_worker_misses_rounds_until_it_has_answered(
    start_peer: StartPeer, autojump_clock: MockClock
) -> None:
    ours, theirs = memory_streams()
    handler = GatedHandler()
    board = Peer(theirs, handler=handler)
    await start_peer(board)
    await RawEnd(ours).send(FrameType.REQUEST, number_id(1), b"long")
    await wait_all_tasks_blocked()
    missed = [await count_missed(board, 1) for _ in range(4)]
    assert missed[-1] >= 3
    assert board.take_pulse().task == "worker"
    handler.release_all()
    await wait_all_tasks_blocked()
    assert await count_missed(board, 2) == 0


async def test_one_stuck_worker_of_all_is_seen(
    start_peer: StartPeer, autojump_clock: MockClock
) -> None:
    ours, theirs = memory_streams()
    handler = GatedHandler()
    host, board = Peer(ours, handler=None), Peer(theirs, handler=handler)
    await start_peer(host)
    await start_peer(board)
    await RawEnd(ours).send(FrameType.REQUEST, number_id(0), b"stuck")
    await wait_all_tasks_blocked()
    for number in range(3 * WORKERS):  # the others work on
        await RawEnd(ours).send(FrameType.REQUEST, number_id(number + 1), b"%d" % number)
        await wait_all_tasks_blocked()
        handler.release(b"%d" % number)
        await wait_all_tasks_blocked()
        board.take_pulse()
    assert await count_missed(board, 1) >= 3 * WORKERS - 1


async def test_host_that_does_not_read_is_no_fault_of_ours(
    start_peer: StartPeer, autojump_clock: MockClock
) -> None:
    ours, theirs = memory_streams(capacity=1)
    board = Peer(theirs, handler=echo)
    await start_peer(board)
    raw = RawEnd(ours)
    with trio.move_on_after(5):
        for number in range(100):
            await raw.send(FrameType.REQUEST, number_id(number), b"%d" % number)
    assert await count_missed(board, 20) == 0


async def sleep_for_ever(*_: object) -> None:
    await trio.sleep_forever()


async def end_at_once(*_: object) -> None:
    await trio.lowlevel.checkpoint()


@pytest.mark.parametrize("fault", [sleep_for_ever, end_at_once])
async def test_dead_timekeeper_is_seen(
    start_peer: StartPeer,
    monkeypatch: pytest.MonkeyPatch,
    fault: Callable[..., Awaitable[None]],
    autojump_clock: MockClock,
) -> None:
    _, theirs = memory_streams()
    board = Peer(theirs, handler=echo)
    keep_time = board._keep_time

    async def die() -> None:
        with trio.move_on_after(1):
            await keep_time()
        await fault()

    monkeypatch.setattr(board, "_keep_time", die)
    await start_peer(board)
    assert await count_missed(board, 3) == 0
    await trio.sleep(2)
    assert await count_missed(board, 4) >= 3
    assert board.take_pulse().task == "timekeeper"


async def test_reader_that_can_not_be_woken_is_seen(
    start_peer: StartPeer, monkeypatch: pytest.MonkeyPatch, autojump_clock: MockClock
) -> None:
    _, theirs = memory_streams()
    board = Peer(theirs, handler=echo)

    async def receive_nothing(_stream: MemoryStream) -> bytes:
        with trio.CancelScope(shield=True):
            await trio.sleep(3600)
        return b""

    monkeypatch.setattr(MemoryStream, "receive", receive_nothing)
    await start_peer(board)
    await wait_all_tasks_blocked()
    assert await count_missed(board, 4) >= 3
    assert board.take_pulse().task == "reader"
