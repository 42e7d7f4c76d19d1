"""One USB interface of the board: its two endpoints, and the broker that answers on them.

Endpoints outlive sessions: a transfer that is in flight when a session ends is taken over by the
next one, so no byte is lost and the controller need not be asked to cancel (docs/kernel.md).
Used by `gadget.revival`.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Final

import trio

from broker.contract import INTERFACE_MANAGE, INTERFACE_SIGN
from broker.peer import Peer
from gadget.endpoints import EndpointStream, open_stream
from gadget.rpc import BUG_ANSWER, Service

__all__ = ["Channel", "open_channels"]

# FunctionFS names endpoint files by their place in the descriptors (registrar.descriptors).
_ENDPOINT_FILES: Final = {INTERFACE_SIGN: ("ep1", "ep2"), INTERFACE_MANAGE: ("ep3", "ep4")}


class Channel:
    """An open endpoint pair and the service behind it."""

    def __init__(self, interface: int, stream: EndpointStream, service: Service) -> None:
        self.interface = interface
        self._stream = stream
        self._answer = partial(service.answer, interface)

    @property
    def transfers_received(self) -> int:
        """OUT transfers that have completed since the endpoints were opened."""
        return self._stream.transfers_received

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Answers requests with a fresh broker until the link ends.

        Raises:
            LinkLost: reading or writing failed for good; the session is over.
        """
        peer = Peer(self._stream, handler=self._answer, on_bug=BUG_ANSWER)
        await peer.run(task_status=task_status)


@asynccontextmanager
async def open_channels(functionfs: Path, service: Service) -> AsyncIterator[tuple[Channel, ...]]:
    """Opens all endpoint files, and closes them at the end of the block.

    Raises:
        OSError: FunctionFS is not mounted, or has no descriptors yet; try again later.
    """
    streams: list[EndpointStream] = []
    try:
        channels = []
        for interface, (name_in, name_out) in _ENDPOINT_FILES.items():
            stream = await open_stream(functionfs / name_out, functionfs / name_in)
            streams.append(stream)
            channels.append(Channel(interface, stream, service))
        yield tuple(channels)
    finally:
        with trio.CancelScope(shield=True):
            for stream in streams:
                await stream.aclose()
