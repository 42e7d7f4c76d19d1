"""What a link does as time goes by: repeats, half frames, keep-alive, silence, bad wires."""

import logging
from itertools import pairwise

import pytest
import trio
from trio.testing import MockClock

from broker.contract import KEEP_ALIVE_S, PARTIAL_FRAME_S, SILENT_SESSION_S
from broker.frame import NO_ID, Frame, FrameType, encode_frame
from broker.peer import Peer
from tests.broker.conftest import StartPeer
from tests.broker.handlers import GatedHandler, echo
from tests.fakes.frames import RawEnd, number_id
from tests.fakes.streams import LossyStream, memory_streams


async def test_lost_response_is_asked_for_again(
    start_peer: StartPeer, autojump_clock: MockClock
) -> None:
    ours, theirs = memory_streams()
    host = Peer(ours, handler=None)
    await start_peer(host)
    raw = RawEnd(theirs)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(host.call, b"request")
        request = await raw.receive()
        await raw.send(FrameType.ACCEPT, request.id)
        start_s = trio.current_time()
        assert await raw.receive() == request
        assert trio.current_time() - start_s == pytest.approx(1.0)
        await raw.send(FrameType.RESPONSE, request.id, b"answer")


async def test_unaccepted_request_is_sent_again_by_itself(
    start_peer: StartPeer, autojump_clock: MockClock
) -> None:
    ours, theirs = memory_streams()
    host = Peer(ours, handler=None)
    await start_peer(host)
    raw = RawEnd(theirs)
    times = []
    with trio.move_on_after(3.5):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(host.call, b"request")
            while True:
                await raw.receive()
                times.append(trio.current_time())
    gaps = [later - earlier for earlier, later in pairwise(times)]
    assert gaps == pytest.approx([0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.0, 1.0])
    assert host.counters().calls_waiting == 0


async def test_retry_frame_makes_the_host_send_at_once(
    start_peer: StartPeer, autojump_clock: MockClock
) -> None:
    ours, theirs = memory_streams()
    host = Peer(ours, handler=None)
    await start_peer(host)
    raw = RawEnd(theirs)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(host.call, b"request")
        for _ in range(8):
            request = await raw.receive()
        await trio.sleep(0.1)  # virtual; the next one is due in 0.9 s
        await raw.send(FrameType.RETRY, NO_ID)
        start_s = trio.current_time()
        assert await raw.receive() == request
        assert trio.current_time() == start_s
        await raw.send(FrameType.RESPONSE, request.id, b"answer")
    assert host.counters().retries == 1


async def test_half_frame_of_a_dead_host_does_not_swallow_the_next_request(
    start_peer: StartPeer, autojump_clock: MockClock
) -> None:
    ours, theirs = memory_streams()
    board = Peer(theirs, handler=echo)
    await start_peer(board)
    dead = RawEnd(ours)
    await ours.send(b"V\x01" + bytes(16))
    await trio.sleep(0.25)
    await dead.send(FrameType.REQUEST, number_id(1), b"request")
    start_s = trio.current_time()
    assert (await dead.receive()).type is FrameType.ACCEPT
    assert trio.current_time() == start_s
    assert board.counters().skipped_bytes == 18


async def test_request_behind_a_half_frame_waits_for_250_ms_at_most(
    start_peer: StartPeer, autojump_clock: MockClock
) -> None:
    ours, theirs = memory_streams()
    await start_peer(Peer(theirs, handler=echo))
    raw = RawEnd(ours)
    whole = memory_streams()
    await RawEnd(whole[0]).send(FrameType.REQUEST, number_id(1), bytes(10_000))
    half = (await whole[1].receive())[:5000]
    start_s = trio.current_time()
    await ours.send(half)
    await raw.send(FrameType.REQUEST, number_id(2), b"request")
    answer = await raw.receive_kind(FrameType.RESPONSE)
    assert answer == Frame(FrameType.RESPONSE, number_id(2), b"answer to request")
    assert trio.current_time() - start_s == pytest.approx(0.25)


async def test_host_keeps_its_session_alive(
    start_peer: StartPeer, autojump_clock: MockClock
) -> None:
    ours, theirs = memory_streams()
    host, board = Peer(ours, handler=None), Peer(theirs, handler=echo)
    await start_peer(host)
    await start_peer(board)
    await trio.sleep(10 * KEEP_ALIVE_S)
    assert host.counters().frames_out.keep_alive == 0  # it has not used the link yet
    await host.call(b"request")
    await trio.sleep(10.5 * KEEP_ALIVE_S)
    assert board.counters().frames_in.keep_alive == 10
    assert board.counters().frames_out.keep_alive == 0


async def test_silent_session_is_dropped_and_logged_once(
    start_peer: StartPeer, caplog: pytest.LogCaptureFixture, autojump_clock: MockClock
) -> None:
    caplog.set_level(logging.INFO, "broker")
    ours, theirs = memory_streams()
    handler = GatedHandler()
    handler.release_all()
    await start_peer(Peer(theirs, handler=handler))
    raw = RawEnd(ours)
    for turn in range(1, 3):
        await raw.send(FrameType.REQUEST, number_id(1), b"request")
        await raw.receive_kind(FrameType.RESPONSE)
        assert len(handler.asked) == turn  # the answer of the last session is forgotten
        await trio.sleep(3 * SILENT_SESSION_S)
        assert len(caplog.records) == turn


async def test_half_frame_does_not_outlive_the_session(
    start_peer: StartPeer, autojump_clock: MockClock
) -> None:
    ours, theirs = memory_streams()
    await start_peer(Peer(theirs, handler=echo))
    raw = RawEnd(ours)
    await raw.send(FrameType.KEEP_ALIVE, NO_ID)
    request = encode_frame(Frame(FrameType.REQUEST, number_id(1), b"request"))
    await trio.sleep(SILENT_SESSION_S - 0.1)
    await ours.send(request[:10])
    await trio.sleep(0.2)
    await ours.send(request[10:])
    with trio.move_on_after(10) as scope:
        await raw.receive()
    assert scope.cancelled_caught


async def test_all_calls_end_well_while_frames_are_lost_and_doubled(
    start_peer: StartPeer, autojump_clock: MockClock
) -> None:
    ours, theirs = memory_streams()
    handler = GatedHandler()
    handler.release_all()
    host = Peer(LossyStream(ours, seed=1, lose=0.3, double=0.2), handler=None)
    await start_peer(host)
    await start_peer(Peer(LossyStream(theirs, seed=2, lose=0.3, double=0.2), handler=handler))

    async def call(number: int) -> None:
        payload = b"request %d" % number
        with trio.fail_after(60):
            assert await host.call(payload) == b"answer to " + payload

    async with trio.open_nursery() as nursery:
        for number in range(50):
            nursery.start_soon(call, number)
    assert len(handler.asked) == len(set(handler.asked)) == 50
    assert host.counters().resends > 0
    assert host.counters().calls_waiting == 0


async def test_link_works_again_after_a_storm_of_cut_frames(
    start_peer: StartPeer, autojump_clock: MockClock
) -> None:
    """While frames are cut an answer can be of two frames: `broker.codec` refuses such ones."""
    ours, theirs = memory_streams()
    bad_ours = LossyStream(ours, seed=3, cut=0.5)
    bad_theirs = LossyStream(theirs, seed=4, cut=0.5)
    host = Peer(bad_ours, handler=None)
    await start_peer(host)
    await start_peer(Peer(bad_theirs, handler=echo))
    async with trio.open_nursery() as nursery:
        for number in range(50):
            nursery.start_soon(host.call, bytes(number * 10))
    bad_ours.heal()
    bad_theirs.heal()
    await trio.sleep(PARTIAL_FRAME_S)
    start_s = trio.current_time()
    assert await host.call(b"request") == b"answer to request"
    assert trio.current_time() == start_s
