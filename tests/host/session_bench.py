"""A session over a fake bus, for the tests: one board, its broker, and what may go wrong."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import trio

from broker.contract import INTERFACE_SIGN
from host import discover
from host.client import Client
from host.connection import Connection
from host.errors import HostError
from host.session import Connect, PersistentSession
from host.usb_stream import UsbStream
from tests.fakes.answers import Answers
from tests.fakes.usb import FakeInterface, FakeUsb, FakeUsbBoard

__all__ = ["ADDRESS", "Bench", "open_bench", "open_persistent", "sign"]

ADDRESS = "tz4address"


class Bench:
    """A bus with one board, whose sign interface a broker serves; `connect` is the way in."""

    def __init__(self, nursery: trio.Nursery) -> None:
        self.nursery = nursery
        self.board = FakeUsbBoard("A")
        self.usb = FakeUsb(self.board)
        self.answers = Answers()

    @property
    def interface(self) -> FakeInterface:
        return self.board.interfaces[INTERFACE_SIGN]

    async def connect(self, serial: str | None, interface: int) -> Connection:
        await trio.lowlevel.checkpoint()
        device = discover.choose(serial, self.usb.open_bus)
        claimed = discover.claim(device, interface, self.usb.open_bus)
        return Connection(serial=device.serial, stream=UsbStream(claimed))

    async def serve(self) -> None:
        await self.nursery.start(self.answers.serve, self.interface)

    def assert_nothing_is_open(self) -> None:
        assert (self.usb.open_buses, self.board.opened) == (0, 0)
        assert self.interface.library is None


@asynccontextmanager
async def open_bench() -> AsyncIterator[Bench]:
    async with trio.open_nursery() as nursery:
        bench = Bench(nursery)
        await bench.serve()
        yield bench
        nursery.cancel_scope.cancel()


@asynccontextmanager
async def open_persistent(
    connect: Connect, serial: str | None = None
) -> AsyncIterator[PersistentSession]:
    session = PersistentSession(serial, INTERFACE_SIGN, connect=connect)
    async with trio.open_nursery() as nursery:
        await nursery.start(session.run)
        yield session
        nursery.cancel_scope.cancel()


async def sign(client: Client, results: list[object], deadline_s: float = 5) -> None:
    """Appends the signature, or the error."""
    try:
        with trio.fail_after(deadline_s):
            results.append(await client.sign(ADDRESS, b"payload"))
    except (HostError, trio.TooSlowError) as error:
        results.append(error)
