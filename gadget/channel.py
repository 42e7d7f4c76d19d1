"""One USB interface of the board: its two endpoints, and the broker that answers on them.

Endpoints outlive sessions: a transfer that is in flight when a session ends is taken over by the
next one, so no byte is lost and the controller need not be asked to cancel (docs/kernel.md).
Used by `gadget.revival`.
"""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Final

import trio

from broker.contract import INTERFACE_MANAGE, INTERFACE_SIGN
from broker.peer import Peer
from gadget.endpoints import EndpointStream, open_stream
from gadget.errors import PartStuckError
from gadget.health.meters import Meters
from gadget.rpc import BUG_ANSWER, Service

__all__ = ["PULSE_PERIOD_S", "Channel", "open_channels"]

PULSE_PERIOD_S: Final = 5.0
# How long a task of the broker may be busy with one request. A signature may have to wait for a
# slow card; on the other interface several passphrases may wait for each other.
_BUSY_LIMIT_S: Final[Mapping[int, float]] = {INTERFACE_SIGN: 30.0, INTERFACE_MANAGE: 120.0}

# FunctionFS names endpoint files by their place in the descriptors (registrar.descriptors).
_ENDPOINT_FILES: Final = {INTERFACE_SIGN: ("ep1", "ep2"), INTERFACE_MANAGE: ("ep3", "ep4")}


class Channel:
    """An open endpoint pair and the service behind it."""

    def __init__(
        self,
        interface: int,
        stream: EndpointStream,
        service: Service,
        meters: Meters | None = None,
    ) -> None:
        self.interface = interface
        self._stream = stream
        self._answer = partial(service.answer, interface)
        self._meters = meters
        self._peer: Peer | None = None

    @property
    def transfers_received(self) -> int:
        """OUT transfers that have completed since the endpoints were opened."""
        return self._stream.transfers_received

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Answers requests with a fresh broker until the link ends.

        Raises:
            LinkLost: reading or writing failed for good; the session is over.
        """
        self._peer = Peer(
            self._stream,
            handler=self._answer,
            on_bug=BUG_ANSWER,
            times=None if self._meters is None else self._meters.peer_times,
        )
        if self._meters is not None:
            self._meters.peers[self.interface] = self._peer.counters
            self._meters.endpoints[self.interface] = self._stream.occupancies
        await self._peer.run(task_status=task_status)

    def check_pulse(self) -> None:
        """Lets a heartbeat go through every task of the broker; call it each `PULSE_PERIOD_S`.

        Raises:
            PartStuckError: one of them has not come round for too long.
        """
        if self._peer is None:
            return
        missed = self._peer.take_pulse()
        busy_s = missed.rounds * PULSE_PERIOD_S
        if busy_s > _BUSY_LIMIT_S[self.interface]:
            raise PartStuckError(
                f"interface {self.interface}: a {missed.task} has not come round for {busy_s:g} s"
            )


@asynccontextmanager
async def open_channels(
    functionfs: Path, service: Service, meters: Meters | None = None
) -> AsyncIterator[tuple[Channel, ...]]:
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
            channels.append(Channel(interface, stream, service, meters))
        yield tuple(channels)
    finally:
        # Each bounds its own time; together, since a stop has 2 s for everything.
        with trio.CancelScope(shield=True):
            async with trio.open_nursery() as nursery:
                for stream in streams:
                    nursery.start_soon(stream.aclose)
