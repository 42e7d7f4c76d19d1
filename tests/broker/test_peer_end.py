"""How a link ends, and that everybody hears of it at once."""

import errno
import logging

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from broker.errors import LinkLost
from broker.frame import FrameType
from broker.peer import Peer
from tests.broker.conftest import StartPeer
from tests.broker.handlers import GatedHandler, echo
from tests.fakes.frames import RawEnd, number_id
from tests.fakes.streams import MemoryStream, memory_streams


def fail_receive(stream: MemoryStream, error: Exception) -> None:
    stream.errors_in.append(error)
    stream.wake()


async def expect_end(peer: Peer, reason: str) -> None:
    with pytest.raises(LinkLost, match=reason):
        await peer.run()


async def expect_loss(peer: Peer, reason: str) -> None:
    with pytest.raises(LinkLost, match=reason):
        await peer.call(b"request")


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (OSError(errno.EPIPE, "Broken pipe"), "receive: Broken pipe"),
        (LinkLost("the board left"), "the board left"),
        (trio.ClosedResourceError(), "receive: ClosedResourceError"),
    ],
)
async def test_all_waiters_get_the_reason_at_once(
    error: Exception, reason: str, autojump_clock: MockClock
) -> None:
    ours, _ = memory_streams()
    host = Peer(ours, handler=None)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(expect_end, host, reason)
        for _ in range(5):
            nursery.start_soon(expect_loss, host, reason)
        await wait_all_tasks_blocked()
        start_s = trio.current_time()
        fail_receive(ours, error)
    assert trio.current_time() == start_s
    assert host.counters().calls_waiting == 0
    await expect_loss(host, reason)  # and so does who comes later


@pytest.mark.parametrize("code", [errno.ESHUTDOWN, errno.EAGAIN, errno.EIO, errno.ENODEV])
async def test_error_that_may_pass_keeps_calls_waiting(
    start_peer: StartPeer, code: int, autojump_clock: MockClock
) -> None:
    ours, theirs = memory_streams()
    host = Peer(ours, handler=None)
    await start_peer(host)
    ours.errors_out.append(OSError(code, "send"))
    fail_receive(ours, OSError(code, "receive"))
    await start_peer(Peer(theirs, handler=echo))
    assert await host.call(b"request") == b"answer to request"


async def test_failed_write_ends_the_link_too(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    """Whichever task it happens in: here the caller's."""
    ours, _ = memory_streams()
    host = Peer(ours, handler=None)
    ours.errors_out.append(OSError(errno.EPIPE, "Broken pipe"))
    async with trio.open_nursery() as inner:
        inner.start_soon(expect_end, host, "send: Broken pipe")
        await wait_all_tasks_blocked()
        await expect_loss(host, "send: Broken pipe")


async def test_failed_answer_ends_the_link(autojump_clock: MockClock) -> None:
    """The worker's write."""
    ours, theirs = memory_streams()
    handler = GatedHandler()
    board = Peer(theirs, handler=handler)
    raw = RawEnd(ours)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(expect_end, board, "send: Broken pipe")
        await raw.send(FrameType.REQUEST, number_id(1), b"request")
        await raw.receive_kind(FrameType.ACCEPT)
        theirs.errors_out.append(OSError(errno.EPIPE, "Broken pipe"))
        handler.release_all()


async def test_write_that_failed_before_the_run_ends_the_run(autojump_clock: MockClock) -> None:
    ours, _ = memory_streams()
    host = Peer(ours, handler=None)
    ours.errors_out.append(LinkLost("the board left"))
    await expect_loss(host, "the board left")
    with pytest.raises(LinkLost, match="the board left"):
        await host.run()


async def test_stopped_peer_tells_its_callers(autojump_clock: MockClock) -> None:
    ours, theirs = memory_streams()
    host = Peer(ours, handler=None)
    async with trio.open_nursery() as nursery:
        scope = trio.CancelScope()

        async def run() -> None:
            with scope:
                await host.run()

        nursery.start_soon(run)
        nursery.start_soon(expect_loss, host, "stopped")
        await wait_all_tasks_blocked()
        scope.cancel()
    await expect_loss(host, "stopped")
    assert await theirs.receive()  # the stream is not the peer's to close


async def test_caller_that_waits_to_write_hears_of_the_end_too(autojump_clock: MockClock) -> None:
    """One in the stream, one behind it: neither has sent anything."""
    ours, _ = memory_streams(capacity=1)
    host = Peer(ours, handler=None)
    await ours.send(b"x")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(expect_end, host, "the board left")
        for _ in range(2):
            nursery.start_soon(expect_loss, host, "the board left")
        await wait_all_tasks_blocked()
        fail_receive(ours, LinkLost("the board left"))


async def test_caller_whose_write_is_put_off_hears_of_the_end_at_once(
    autojump_clock: MockClock,
) -> None:
    ours, _ = memory_streams()
    host = Peer(ours, handler=None)
    async with trio.open_nursery() as nursery:
        ours.errors_out.extend(OSError(errno.EAGAIN, "again") for _ in range(100))
        nursery.start_soon(expect_end, host, "the board left")
        nursery.start_soon(expect_loss, host, "the board left")
        await trio.sleep(10.5)
        start_s = trio.current_time()
        fail_receive(ours, LinkLost("the board left"))
    assert trio.current_time() == start_s


async def test_end_cancels_the_handlers_and_waits_for_them(autojump_clock: MockClock) -> None:
    ours, theirs = memory_streams()
    events: list[str] = []

    async def handler(payload: bytes) -> bytes:
        try:
            await trio.Event().wait()
        finally:
            with trio.CancelScope(shield=True):
                await trio.sleep(1)
                events.append("handler cleaned up")
        return payload

    board = Peer(theirs, handler=handler)
    async with trio.open_nursery() as nursery:

        async def run() -> None:
            with pytest.raises(LinkLost):
                await board.run()
            events.append("run ended")

        nursery.start_soon(run)
        await RawEnd(ours).send(FrameType.REQUEST, number_id(1), b"request")
        await wait_all_tasks_blocked()
        fail_receive(theirs, LinkLost("the host left"))
    assert events == ["handler cleaned up", "run ended"]


async def test_waiters_do_not_wait_for_slow_handlers(autojump_clock: MockClock) -> None:
    ours, _ = memory_streams()

    async def handler(payload: bytes) -> bytes:
        with trio.CancelScope(shield=True):
            await trio.sleep(1)
        return payload

    peer = Peer(ours, handler=handler)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(expect_end, peer, "gone")
        await wait_all_tasks_blocked()
        fail_receive(ours, LinkLost("gone"))
        start_s = trio.current_time()
        await expect_loss(peer, "gone")
        assert trio.current_time() == start_s


async def test_peer_runs_once(start_peer: StartPeer, autojump_clock: MockClock) -> None:
    ours, _ = memory_streams()
    host = Peer(ours, handler=None)
    await start_peer(host)
    with pytest.raises(RuntimeError, match="once"):
        await host.run()


async def test_each_waiter_gets_an_exception_of_its_own(autojump_clock: MockClock) -> None:
    ours, _ = memory_streams()
    host = Peer(ours, handler=None)
    cause = OSError(errno.EPIPE, "Broken pipe")
    fail_receive(ours, cause)
    losses = []
    with pytest.raises(LinkLost) as caught:
        await host.run()
    losses.append(caught.value)
    for _ in range(2):
        with pytest.raises(LinkLost) as caught:
            await host.call(b"request")
        losses.append(caught.value)
    assert len({id(loss) for loss in losses}) == 3
    assert {loss.__cause__ for loss in losses} == {cause}


async def test_nothing_of_a_message_is_logged(
    start_peer: StartPeer, caplog: pytest.LogCaptureFixture, autojump_clock: MockClock
) -> None:
    caplog.set_level(logging.DEBUG, "broker")
    ours, theirs = memory_streams()
    host = Peer(ours, handler=None)
    await start_peer(host)
    await start_peer(Peer(theirs, handler=echo, workers=1, queue_length=1))
    async with trio.open_nursery() as nursery:
        for _ in range(10):
            nursery.start_soon(host.call, b"secret")
    fail_receive(ours, OSError(errno.EAGAIN, "again"))
    await trio.sleep(300)
    assert "secret" not in " ".join(str(vars(record)) for record in caplog.records)
