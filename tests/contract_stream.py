"""What every `broker.stream.ByteStream` must do, for any pair of connected ones.

A test module of a stream runs all of it:

    @pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
    async def test_stream_contract(check: StreamCheck) -> None:
        await check(open_pair)

`open_pair` opens a fresh, connected pair for each use. No check takes longer than CHECK_S.
"""

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from functools import partial
from typing import Final

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from broker.errors import Decision, LinkLost, classify
from broker.stream import ByteStream

__all__ = ["CHECKS", "CHECK_S", "OpenPair", "StreamCheck"]

OpenPair = Callable[[], AbstractAsyncContextManager[tuple[ByteStream, ByteStream]]]
StreamCheck = Callable[[OpenPair], Awaitable[None]]

CHECK_S: Final = 30.0
# Around the packet size of high speed USB, twice that, and the size of a transfer.
_SIZES: Final = (1, 63, 64, 65, 511, 512, 513, 1023, 1024, 1025, 16383, 16384, 16385)
_CLOSED: Final = (OSError, LinkLost, trio.ClosedResourceError)


def _pattern(size: int, seed: int = 0) -> bytes:
    return bytes((seed + index * 7 + (index >> 8)) % 256 for index in range(size))


async def _receive_exactly(stream: ByteStream, size: int) -> bytes:
    """Returns the next bytes; more than wanted fails."""
    got = b""
    while len(got) < size:
        piece = await stream.receive()
        assert isinstance(piece, bytes)
        assert piece, "end of file instead of data"
        got += piece
    assert len(got) == size
    return got


async def each_size_arrives_whole_both_ways(open_pair: OpenPair) -> None:
    """Also where the data ends on a packet boundary, with nothing sent after it."""
    with trio.fail_after(CHECK_S):
        async with open_pair() as (first, second):
            for sender, receiver in ((first, second), (second, first)):
                for size in _SIZES:
                    data = _pattern(size, size)
                    async with trio.open_nursery() as nursery:
                        nursery.start_soon(sender.send, data)
                        assert await _receive_exactly(receiver, size) == data


async def large_data_waits_for_its_receiver(open_pair: OpenPair) -> None:
    data = _pattern(300_000)
    with trio.fail_after(CHECK_S):
        async with open_pair() as (first, second), trio.open_nursery() as nursery:
            nursery.start_soon(first.send, data)
            await wait_all_tasks_blocked()
            assert await _receive_exactly(second, len(data)) == data


async def both_directions_run_at_once(open_pair: OpenPair) -> None:
    data = {index: _pattern(40_000, index) for index in range(2)}
    with trio.fail_after(CHECK_S):
        async with open_pair() as ends:

            async def check_incoming(index: int) -> None:
                got = await _receive_exactly(ends[index], len(data[1 - index]))
                assert got == data[1 - index]

            async with trio.open_nursery() as nursery:
                for index in range(2):
                    nursery.start_soon(check_incoming, index)
                    nursery.start_soon(ends[index].send, data[index])


async def send_works_while_receive_waits(open_pair: OpenPair) -> None:
    with trio.fail_after(CHECK_S):
        async with open_pair() as (first, second), trio.open_nursery() as nursery:
            nursery.start_soon(_receive_exactly, first, 1)
            await wait_all_tasks_blocked()
            await first.send(b"from first")
            assert await _receive_exactly(second, 10) == b"from first"
            await second.send(b"x")


async def cancelled_receive_loses_nothing(open_pair: OpenPair) -> None:
    """Cancelled while nothing has come yet, and at the moment when something comes."""
    got = bytearray()
    sent = bytearray()

    async def receive_once(stream: ByteStream, scope: trio.CancelScope) -> None:
        with scope:
            got.extend(await stream.receive())

    with trio.fail_after(CHECK_S):
        async with open_pair() as (first, second):
            for turn in range(20):
                data = _pattern(100, turn)
                async with trio.open_nursery() as nursery:
                    scope = trio.CancelScope()
                    nursery.start_soon(receive_once, second, scope)
                    await wait_all_tasks_blocked()
                    if turn % 2:
                        await first.send(data)
                    scope.cancel()
                if not turn % 2:
                    await first.send(data)
                sent += data
                while len(got) < len(sent):
                    got += await second.receive()
                assert got == sent


async def cancelled_send_leaves_the_stream_usable(open_pair: OpenPair) -> None:
    """Nobody receives, so the send can't end; after it the other direction still works."""
    with trio.fail_after(CHECK_S):
        async with open_pair() as (first, second):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(first.send, bytes(2**23))
                await wait_all_tasks_blocked()
                nursery.cancel_scope.cancel()
            async with trio.open_nursery() as nursery:
                nursery.start_soon(second.send, b"answer")
                assert await _receive_exactly(first, 6) == b"answer"


async def empty_send_changes_nothing(open_pair: OpenPair) -> None:
    with trio.fail_after(CHECK_S):
        async with open_pair() as (first, second):

            async def send_all() -> None:
                for data in (b"", b"a", b"", b"b", b""):
                    await first.send(data)

            async with trio.open_nursery() as nursery:
                nursery.start_soon(send_all)
                assert await _receive_exactly(second, 2) == b"ab"


async def closed_stream_raises(open_pair: OpenPair) -> None:
    """For who waits in it and for who comes later; closing again is nothing."""
    with trio.fail_after(CHECK_S):
        async with open_pair() as (first, _):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(_raises_closed, first.receive)
                await wait_all_tasks_blocked()
                await first.aclose()
            await _raises_closed(first.receive)
            await _raises_closed(partial(first.send, b"data"))
            await first.aclose()


async def _raises_closed(use: Callable[[], Awaitable[object]]) -> None:
    with pytest.raises(_CLOSED) as caught:
        await use()
    if isinstance(caught.value, OSError):
        assert classify(caught.value) is Decision.END


CHECKS: Final[tuple[StreamCheck, ...]] = (
    each_size_arrives_whole_both_ways,
    large_data_waits_for_its_receiver,
    both_directions_run_at_once,
    send_works_while_receive_waits,
    cancelled_receive_loses_nothing,
    cancelled_send_leaves_the_stream_usable,
    empty_send_changes_nothing,
    closed_stream_raises,
)
