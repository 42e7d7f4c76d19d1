"""Endpoints over a real FunctionFS. Run with:

python -m tests.lab -- pytest -p no:cacheprovider -p no:randomly tests/kernel/test_endpoints.py
"""

import gc
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from errno import EAGAIN, ECONNRESET, ESHUTDOWN
from functools import partial

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from broker.contract import VENDOR_ID
from gadget.aio import open_aio
from gadget.endpoint_aio import AioInEndpoint, AioOutEndpoint
from gadget.endpoints import (
    EndpointStream,
    InEndpoint,
    OutEndpoint,
    open_in,
    open_out,
    open_stream,
)
from tests.contract_endpoint import CHECKS, Check, Pair
from tests.kernel.raw_gadget import RawGadget
from tests.kernel.usbfs import UsbHost, find_device

_AT_ONCE_S = 0.100
# Reads ep0 without a pause, as no registrar ever would.
_READ_EP0 = """
import os
ep0 = os.open(input(), os.O_RDWR | os.O_NONBLOCK)
print("reading", flush=True)
while True:
    try:
        os.read(ep0, 48)
    except BlockingIOError:
        pass
"""


class _UsbFar:
    """The host, one blocking call at a time in a thread for each direction."""

    def __init__(self, host: UsbHost) -> None:
        self._host = host

    async def put(self, data: bytes) -> None:
        await trio.to_thread.run_sync(self._host.write, data)

    async def take(self) -> bytes:
        return await trio.to_thread.run_sync(self._host.read)


@pytest.fixture
async def pair(gadget: RawGadget, host: UsbHost) -> AsyncIterator[Pair]:
    out_endpoint, in_endpoint = _open_pair(gadget)
    yield Pair(
        out_endpoint=out_endpoint,
        in_endpoint=in_endpoint,
        far=_UsbFar(host),
        at_once_s=_AT_ONCE_S,
    )
    await EndpointStream(out_endpoint, in_endpoint).aclose()


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
async def test_endpoints_keep_the_contract(check: Check, pair: Pair) -> None:
    with trio.fail_after(60):
        await check(pair)


async def test_functionfs_gets_aio(pair: Pair) -> None:
    assert isinstance(pair.out_endpoint, AioOutEndpoint)
    assert isinstance(pair.in_endpoint, AioInEndpoint)


def _open_pair(gadget: RawGadget) -> tuple[OutEndpoint, InEndpoint]:
    return open_out(gadget.folder / "ep2"), open_in(gadget.folder / "ep1")


async def test_endpoint_that_is_not_enabled_is_eagain(idle_gadget: RawGadget) -> None:
    out_endpoint, in_endpoint = _open_pair(idle_gadget)
    for size in (1, 512, 40_000):
        with trio.fail_after(1), pytest.raises(OSError, match="unavailable") as of_receive:
            await out_endpoint.receive()
        with trio.fail_after(1), pytest.raises(OSError, match="unavailable") as of_send:
            await in_endpoint.send(bytes(size))
        assert (of_receive.value.errno, of_send.value.errno) == (EAGAIN, EAGAIN)
    await EndpointStream(out_endpoint, in_endpoint).aclose()


@asynccontextmanager
async def _attached(gadget: RawGadget, speed: str = "high-speed") -> AsyncIterator[UsbHost]:
    """On the bus for the time of the block."""
    await trio.to_thread.run_sync(partial(gadget.attach, max_speed=speed))
    host = UsbHost(find_device(VENDOR_ID), interface=0, timeout_s=5)
    try:
        host.drain()
        yield host
    finally:
        host.close()
        gadget.detach()


async def _echo_once(out_endpoint: OutEndpoint, in_endpoint: InEndpoint, host: UsbHost) -> None:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(trio.to_thread.run_sync, host.write, b"question")
        await in_endpoint.send(b"answer to " + await out_endpoint.receive())
    assert await trio.to_thread.run_sync(host.read) == b"answer to question"


async def test_open_endpoints_work_again_after_usb_was_lost(idle_gadget: RawGadget) -> None:
    out_endpoint, in_endpoint = _open_pair(idle_gadget)
    errnos: list[int | None] = []

    async def receive() -> None:
        with pytest.raises(OSError, match="transport endpoint") as caught:
            await out_endpoint.receive()
        errnos.append(caught.value.errno)

    for _ in range(3):
        async with trio.open_nursery() as nursery, _attached(idle_gadget) as host:
            await _echo_once(out_endpoint, in_endpoint, host)
            await in_endpoint.send(bytes(600))
            nursery.start_soon(receive)
            await wait_all_tasks_blocked()
    assert errnos == [ESHUTDOWN] * 3
    await EndpointStream(out_endpoint, in_endpoint).aclose()


async def test_usb_loss_that_nobody_saw_is_no_error_of_the_next_session(
    idle_gadget: RawGadget,
) -> None:
    out_endpoint, in_endpoint = _open_pair(idle_gadget)
    for _ in range(3):
        async with _attached(idle_gadget) as host:
            await _echo_once(out_endpoint, in_endpoint, host)
            await in_endpoint.send(bytes(600))
            with trio.move_on_after(0):
                await out_endpoint.receive()
    await EndpointStream(out_endpoint, in_endpoint).aclose()


@pytest.mark.parametrize("speed", ["full-speed", "high-speed"])
async def test_frame_that_ends_on_a_packet_ends_for_the_host_too(
    idle_gadget: RawGadget, speed: str
) -> None:
    out_endpoint, in_endpoint = _open_pair(idle_gadget)
    async with _attached(idle_gadget, speed) as host:
        assert host.packet_bytes == {"full-speed": 64, "high-speed": 512}[speed]
        for size in (63, 64, 65, 128, 511, 512, 513, 1024, 8192):
            await in_endpoint.send(bytes(size))
            assert len(await trio.to_thread.run_sync(host.read)) == size
            async with trio.open_nursery() as nursery:
                nursery.start_soon(trio.to_thread.run_sync, host.write, bytes(size))
                assert len(await out_endpoint.receive()) == size
    await EndpointStream(out_endpoint, in_endpoint).aclose()


async def test_sends_wait_only_for_the_ninth_frame_that_the_host_does_not_take(
    pair: Pair,
) -> None:
    # dummy_hcd completes writes of up to 64 bytes by itself, like a controller's FIFO.
    for number in range(8):
        with trio.fail_after(_AT_ONCE_S):
            await pair.in_endpoint.send(bytes([number]) * 600)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(pair.in_endpoint.send, bytes([8]) * 600)
        for number in range(9):
            assert await pair.far.take() == bytes([number]) * 600


async def test_host_that_sends_while_nobody_receives_is_heard_later(pair: Pair) -> None:
    with trio.move_on_after(0):
        await pair.out_endpoint.receive()
    with trio.fail_after(5):
        await pair.far.put(b"first")
        await pair.far.put(b"second")
    assert await pair.out_endpoint.receive() == b"first"
    assert await pair.out_endpoint.receive() == b"second"


async def test_closed_endpoints_open_again_at_once(gadget: RawGadget, host: UsbHost) -> None:
    for _ in range(5):
        out_endpoint, in_endpoint = _open_pair(gadget)
        await _echo_once(out_endpoint, in_endpoint, host)
        with trio.move_on_after(0):
            await out_endpoint.receive()
        with trio.fail_after(1):
            await EndpointStream(out_endpoint, in_endpoint).aclose()


async def test_cancelled_transfer_ends_with_econnreset(gadget: RawGadget) -> None:
    fd = os.open(gadget.folder / "ep2", os.O_RDWR | os.O_NONBLOCK)
    aio = open_aio(1)
    operation = aio.submit_read(fd, bytearray(512))
    with trio.move_on_after(0.05) as scope:
        await operation.wait()
    assert scope.cancelled_caught
    operation.cancel()
    with trio.fail_after(_AT_ONCE_S), pytest.raises(ConnectionResetError) as caught:
        await operation.wait()
    assert caught.value.errno == ECONNRESET
    await aio.aclose()
    os.close(fd)


async def test_kernel_touches_no_memory_but_the_one_that_was_kept_for_it(
    gadget: RawGadget, host: UsbHost
) -> None:
    out_fd = os.open(gadget.folder / "ep2", os.O_RDWR | os.O_NONBLOCK)
    in_fd = os.open(gadget.folder / "ep1", os.O_RDWR | os.O_NONBLOCK)
    aio = open_aio(3)
    for number in range(20):
        # Nobody but the context holds these three; what is freed is used again at once.
        reading = aio.submit_read(out_fd, bytearray(4096))
        aio.submit_write(in_fd, bytes([number]) * 4000)
        writing = aio.submit_write(in_fd, bytes([number + 1]) * 999)
        gc.collect()
        others = [bytearray(b"\xff" * size) for size in (999, 4000, 4096) for _ in range(30)]
        assert await trio.to_thread.run_sync(host.read) == bytes([number]) * 4000
        assert await trio.to_thread.run_sync(host.read) == bytes([number + 1]) * 999
        await trio.to_thread.run_sync(host.write, bytes([number]) * 3000)
        assert (await reading.wait(), await writing.wait()) == (3000, 999)
        assert all(set(other) == {0xFF} for other in others)
    await aio.aclose()
    for fd in (out_fd, in_fd):
        os.close(fd)


async def test_streams_open_while_another_process_is_in_ep0(idle_gadget: RawGadget) -> None:
    reader = subprocess.Popen(  # noqa: ASYNC220 - returns at once
        [sys.executable, "-c", _READ_EP0], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert reader.stdin is not None
    assert reader.stdout is not None
    with reader:
        reader.stdin.write(os.fsencode(idle_gadget.folder / "ep0") + b"\n")
        reader.stdin.flush()
        await trio.to_thread.run_sync(reader.stdout.readline)
        try:
            for _ in range(30):
                stream = await open_stream(idle_gadget.folder / "ep2", idle_gadget.folder / "ep1")
                await stream.aclose()
        finally:
            reader.kill()
