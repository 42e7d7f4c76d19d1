"""What every pair of endpoints must do, as functions: over pipes, over a fake AIO, over FunctionFS.

Each check gets a fresh `Pair`; how long "at once" is differs between machines and is part of it.
"""

import os
import random
import threading
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final, Protocol

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from gadget.endpoints import InEndpoint, OutEndpoint

__all__ = ["CHECKS", "Check", "FarSide", "Pair"]

_SIZES: Final = (1, 23, 63, 64, 65, 511, 512, 513, 1023, 1024, 1025, 16383, 16384, 16385, 65536)
_CANCELS: Final = 1000


class FarSide(Protocol):
    """The other end of both endpoints: the host."""

    async def put(self, data: bytes) -> None:
        """Sends to the OUT endpoint, with a zero-length packet at the end where one is due."""

    async def take(self) -> bytes:
        """Receives what there is from the IN endpoint; may return nothing at times."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """Two open endpoints and their far side. `at_once_s`: how long an immediate end may take."""

    out_endpoint: OutEndpoint
    in_endpoint: InEndpoint
    far: FarSide
    at_once_s: float

    async def receive_exactly(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            more = await self.out_endpoint.receive()
            assert more, "end of file"
            data += more
        return data

    async def take_exactly(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            data += await self.far.take()
        return data


Check = Callable[[Pair], Awaitable[None]]


def _bytes(size: int) -> bytes:
    return random.Random(size).randbytes(size)  # noqa: S311 - reproducible, not secret


async def check_every_size_arrives(pair: Pair) -> None:
    for size in _SIZES:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(pair.far.put, _bytes(size))
            assert await pair.receive_exactly(size) == _bytes(size)


async def check_every_size_is_sent(pair: Pair) -> None:
    for size in _SIZES:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(pair.in_endpoint.send, _bytes(size))
            assert await pair.take_exactly(size) == _bytes(size)


async def check_both_directions_work_at_once(pair: Pair) -> None:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(pair.in_endpoint.send, _bytes(40_000))
        nursery.start_soon(pair.far.put, _bytes(50_000))
        assert await pair.take_exactly(40_000) == _bytes(40_000)
        assert await pair.receive_exactly(50_000) == _bytes(50_000)


async def check_empty_send_sends_nothing(pair: Pair) -> None:
    await pair.in_endpoint.send(b"")
    await pair.in_endpoint.send(b"x")
    assert await pair.take_exactly(1) == b"x"


async def check_cancelled_receive_ends_at_once(pair: Pair) -> None:
    async def cancel_one() -> float:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(pair.out_endpoint.receive)
            await wait_all_tasks_blocked()
            started_s = trio.current_time()
            nursery.cancel_scope.cancel()
        return trio.current_time() - started_s

    # The best of some: the machine has other things to do.
    assert min([await cancel_one() for _ in range(5)]) < pair.at_once_s


async def check_cancelled_receive_loses_nothing(pair: Pair) -> None:
    expected = [_bytes(100 + number) for number in range(30)]
    received = b""

    async def put_all() -> None:
        for data in expected:
            await pair.far.put(data)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(put_all)
        patience = random.Random(1)  # noqa: S311 - reproducible, not secret
        while len(received) < sum(map(len, expected)):
            with trio.move_on_after(patience.uniform(0, 0.003)):
                received += await pair.out_endpoint.receive()
    assert received == b"".join(expected)


async def check_second_receiver_is_refused(pair: Pair) -> None:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(pair.receive_exactly, 1)
        await wait_all_tasks_blocked()
        with pytest.raises(trio.BusyResourceError):
            await pair.out_endpoint.receive()
        await pair.far.put(b"x")


async def check_second_sender_is_refused(pair: Pair) -> None:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(pair.in_endpoint.send, _bytes(1_000_000))
        await wait_all_tasks_blocked()
        with pytest.raises(trio.BusyResourceError):
            await pair.in_endpoint.send(b"x")
        nursery.cancel_scope.cancel()


async def check_frame_after_a_cancelled_send_arrives(pair: Pair) -> None:
    cancelled = _bytes(1_000_000)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(pair.in_endpoint.send, cancelled)
        await wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(pair.in_endpoint.send, b"MARK" * 256)
        sent = b""
        while not sent.endswith(b"MARK" * 256):
            sent += await pair.far.take()
    assert cancelled.startswith(sent[:-1024])


async def check_close_ends_a_receive(pair: Pair) -> None:
    async def receive() -> None:
        with pytest.raises(trio.ClosedResourceError):
            await pair.out_endpoint.receive()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(receive)
        await wait_all_tasks_blocked()
        await pair.out_endpoint.aclose()


async def check_close_ends_a_send(pair: Pair) -> None:
    async def send() -> None:
        with pytest.raises(trio.ClosedResourceError):
            await pair.in_endpoint.send(_bytes(1_000_000))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(send)
        await wait_all_tasks_blocked()
        await pair.in_endpoint.aclose()


async def check_closed_endpoints_refuse_everything(pair: Pair) -> None:
    for endpoint in (pair.out_endpoint, pair.in_endpoint):
        await endpoint.aclose()
        await endpoint.aclose()
    with pytest.raises(trio.ClosedResourceError):
        await pair.out_endpoint.receive()
    with pytest.raises(trio.ClosedResourceError):
        await pair.in_endpoint.send(b"x")


async def check_thousand_cancels_leave_nothing_behind(pair: Pair) -> None:
    before = _count_everything()
    for _ in range(_CANCELS):
        with trio.move_on_after(0) as scope:
            await pair.out_endpoint.receive()
        assert scope.cancelled_caught
    assert _count_everything() == before
    await pair.far.put(b"still here")
    assert await pair.receive_exactly(10) == b"still here"


def _count_everything() -> tuple[int, int, int]:
    """Tasks, threads, descriptors."""
    tasks = trio.lowlevel.current_statistics().tasks_living
    return tasks, threading.active_count(), len(os.listdir("/proc/self/fd"))  # noqa: PTH208


CHECKS: Final[tuple[Check, ...]] = (
    check_every_size_arrives,
    check_every_size_is_sent,
    check_both_directions_work_at_once,
    check_empty_send_sends_nothing,
    check_cancelled_receive_ends_at_once,
    check_cancelled_receive_loses_nothing,
    check_second_receiver_is_refused,
    check_second_sender_is_refused,
    check_frame_after_a_cancelled_send_arrives,
    check_close_ends_a_receive,
    check_close_ends_a_send,
    check_closed_endpoints_refuse_everything,
    check_thousand_cancels_leave_nothing_behind,
)
