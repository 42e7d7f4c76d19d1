"""`UsbStream` over real libusb against the gadget's own stream, in one process. Run with:

python -m tests.lab -- pytest -p no:cacheprovider tests/kernel/test_host_stream.py
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

import pytest
import trio

from broker.contract import INTERFACE_SIGN
from broker.stream import ByteStream
from gadget.endpoints import open_stream
from host import usb
from host.usb_stream import UsbStream
from tests.contract_stream import CHECKS, StreamCheck
from tests.kernel.raw_gadget import RawGadget

READS_AHEAD = 2


class ReadingBoard:
    """The board's end with a reader of its own: FunctionFS takes nothing that nobody reads."""

    def __init__(self, stream: ByteStream) -> None:
        self._stream = stream
        self._put, self._take = trio.open_memory_channel[bytes](READS_AHEAD)

    async def read_ahead(self) -> None:
        while True:
            await self._put.send(await self._stream.receive())

    async def receive(self) -> bytes:
        return await self._take.receive()

    async def send(self, data: bytes) -> None:
        await self._stream.send(data)

    async def aclose(self) -> None:
        self._take.close()
        await self._stream.aclose()


@asynccontextmanager
async def open_pair(gadget: RawGadget) -> AsyncIterator[tuple[ByteStream, ByteStream]]:
    """A `UsbStream` and the gadget's own stream at the other end."""
    board = await open_stream(gadget.folder / "ep2", gadget.folder / "ep1")
    (attached,) = usb.open_bus().find_boards()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(trio.to_thread.run_sync, gadget.answer_ready)
        claimed = await trio.to_thread.run_sync(attached.open().claim, INTERFACE_SIGN)
    host = UsbStream(claimed)
    reading = ReadingBoard(board)
    try:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(reading.read_ahead)
            yield host, reading
            nursery.cancel_scope.cancel()
    finally:
        await host.aclose()
        await board.aclose()


@asynccontextmanager
async def open_reversed_pair(gadget: RawGadget) -> AsyncIterator[tuple[ByteStream, ByteStream]]:
    async with open_pair(gadget) as (host, board):
        yield board, host


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
async def test_stream_contract(gadget: RawGadget, check: StreamCheck) -> None:
    await check(partial(open_pair, gadget))


# Its end is closed first only from the host's side: what a closed `ReadingBoard` does is its own.
@pytest.mark.parametrize("check", CHECKS[:-1], ids=lambda check: check.__name__)
async def test_stream_contract_from_the_other_end(gadget: RawGadget, check: StreamCheck) -> None:
    await check(partial(open_reversed_pair, gadget))
