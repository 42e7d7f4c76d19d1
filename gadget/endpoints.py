"""The board's bulk endpoints as trio sees them, and the byte stream that a broker talks through.

Finds out which kind of file an endpoint is by asking epoll, never by its path: FunctionFS refuses
epoll and needs AIO (`gadget.endpoint_aio`), everything else is polled (`gadget.endpoint_poll`).
Endpoints outlive USB loss and broker sessions. Called by `gadget.channel`.
"""

import os
import select
from collections.abc import Callable
from pathlib import Path
from typing import Final, Protocol, TypeVar, final

import trio

from gadget.aio import open_aio
from gadget.endpoint_aio import AioInEndpoint, AioOutEndpoint
from gadget.endpoint_poll import PollInEndpoint, PollOutEndpoint
from gadget.occupancy import Occupancy

__all__ = [
    "EndpointStream",
    "InEndpoint",
    "OutEndpoint",
    "adopt_in",
    "adopt_out",
    "open_in",
    "open_out",
    "open_stream",
]

# Two reads in flight: one is filled while the other is emptied.
_BUFFERS: Final = 2
# As many answers as a broker has workers; 128 KiB of kernel memory at most.
_WRITES: Final = 8

_OPEN_FLAGS: Final = os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC
_OPEN_TRIES: Final = 100
_OPEN_PAUSE_S: Final = 0.01

_Endpoint = TypeVar("_Endpoint")


class OutEndpoint(Protocol):
    """Host to device. One task at a time may receive; a second one gets trio.BusyResourceError."""

    @property
    def occupancy(self) -> Occupancy | None:
        """How many transfers the kernel has; None where it has none between calls."""

    async def receive(self) -> bytes:
        """Returns the next bytes, one or more; b"" = end of file. Cancel: loses nothing."""

    async def aclose(self) -> None:
        """Closes; a task in `receive` gets trio.ClosedResourceError."""


class InEndpoint(Protocol):
    """Device to host. One task at a time may send; a second one gets trio.BusyResourceError."""

    @property
    def occupancy(self) -> Occupancy | None:
        """As that of `OutEndpoint`."""

    async def send(self, data: bytes) -> None:
        """Hands over all of the data. Cancel: the rest of it is never sent."""

    async def aclose(self) -> None:
        """Closes; a task in `send` gets trio.ClosedResourceError."""


@final
class EndpointStream:
    """A `broker.stream.ByteStream` over a pair of endpoints, which it owns."""

    def __init__(self, out_endpoint: OutEndpoint, in_endpoint: InEndpoint) -> None:
        self._out = out_endpoint
        self._in = in_endpoint
        self.transfers_received = 0

    def occupancies(self) -> dict[str, Occupancy]:
        """By direction, `in` and `out`, where there is anything to tell."""
        both = {"in": self._in.occupancy, "out": self._out.occupancy}
        return {name: occupancy for name, occupancy in both.items() if occupancy is not None}

    async def receive(self) -> bytes:
        data = await self._out.receive()
        self.transfers_received += 1
        return data

    async def send(self, data: bytes) -> None:
        await self._in.send(data)

    async def aclose(self) -> None:
        """Closes both endpoints at once, each even when the other fails."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._out.aclose)
            nursery.start_soon(self._in.aclose)


async def open_stream(out_path: Path, in_path: Path) -> EndpointStream:
    """Opens both endpoint files of an interface, or none.

    Raises: OSError; FunctionFS is not mounted, or has no descriptors yet.
    """
    out_endpoint = await _open_patiently(open_out, out_path)
    try:
        return EndpointStream(out_endpoint, await _open_patiently(open_in, in_path))
    except BaseException:
        await out_endpoint.aclose()
        raise


def open_out(path: Path) -> OutEndpoint:
    """Opens an endpoint file at once, whether USB is enabled or not.

    Raises: OSError; BlockingIOError = another process was in ep0 at this moment, try again.
    """
    return adopt_out(os.open(path, _OPEN_FLAGS))


def open_in(path: Path) -> InEndpoint:
    """As `open_out`."""
    return adopt_in(os.open(path, _OPEN_FLAGS))


def adopt_out(fd: int) -> OutEndpoint:
    """Makes an endpoint of a non-blocking descriptor, and owns it from then on."""
    try:
        if _is_pollable(fd):
            return PollOutEndpoint(fd)
        return AioOutEndpoint(fd, open_aio(_BUFFERS), buffers=_BUFFERS)
    except OSError:
        os.close(fd)
        raise


def adopt_in(fd: int) -> InEndpoint:
    """Makes an endpoint of a non-blocking descriptor, and owns it from then on."""
    try:
        if _is_pollable(fd):
            return PollInEndpoint(fd)
        return AioInEndpoint(fd, open_aio(_WRITES), writes=_WRITES)
    except OSError:
        os.close(fd)
        raise


async def _open_patiently(open_file: Callable[[Path], _Endpoint], path: Path) -> _Endpoint:
    # Newer kernels (seen in 6.1.192) take a mutex in open which every read of ep0 takes too, and
    # O_NONBLOCK means not to wait for it: one in 80 opens fails while the registrar reads events.
    for _ in range(_OPEN_TRIES):
        await trio.lowlevel.checkpoint()
        try:
            return open_file(path)
        except BlockingIOError:
            await trio.sleep(_OPEN_PAUSE_S)
    return open_file(path)


def _is_pollable(fd: int) -> bool:
    with select.epoll() as probe:
        try:
            probe.register(fd)
        except PermissionError:
            return False
    return True
