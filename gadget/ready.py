"""The ready socket: it exists, and accepts, exactly while both brokers are live.

The registrar connects to it and answers the host's ready request from that. One peer at a time: a
new one replaces the old, because the old may be a registrar that was killed. It sends a byte for
each session that a host announces; where the announced traffic never comes, `gadget.wedge` judges
whether the controller is wedged, and the registrar is told with a byte. Called by `gadget.revival`.
"""

import logging
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Final, Never

import trio

from broker.pulse import Pulse
from gadget.health.meters import UsbMeter
from gadget.wedge import WedgeEvidence
from registrar.sockets import (
    SESSION_ANNOUNCED,
    SUSPENDED,
    WEDGED,
    listen_local,
    peer_uid,
    remove_socket,
)

__all__ = ["serve_ready"]

_LOOK_S: Final = 1.0
# How often a task that has nothing to do shows itself: more than once in a round of heartbeats.
_SHOW_S: Final = 2.0
_READ_BYTES: Final = 64

logger = logging.getLogger(__name__)


@asynccontextmanager
async def serve_ready(
    path: Path,
    allowed_uids: frozenset[int],
    transfers: Callable[[], int],
    usb: UsbMeter | None = None,
) -> AsyncIterator[Pulse]:
    """Serves the socket while the block runs; at its end it is gone and its peer disconnected.

    Gives the pulse of its tasks, for rounds of three seconds or more.

    Args:
        transfers: returns how many OUT transfers have completed so far, on all endpoints.
        usb: counts what the registrar tells.

    Raises:
        OSError: the socket cannot be bound; the session cannot start.
    """
    listener = listen_local(path, 0o660)
    try:
        async with trio.open_nursery() as nursery:
            server = _ReadyServer(allowed_uids, transfers, usb or UsbMeter())
            nursery.start_soon(server.accept, trio.socket.from_stdlib_socket(listener), nursery)
            nursery.start_soon(server.judge)
            yield server.pulse
            nursery.cancel_scope.cancel()
    finally:
        remove_socket(path, listener)


class _ReadyServer:
    def __init__(
        self, allowed_uids: frozenset[int], transfers: Callable[[], int], usb: UsbMeter
    ) -> None:
        self.pulse = Pulse()
        self._allowed_uids = allowed_uids
        self._transfers = transfers
        self._usb = usb
        self._evidence = WedgeEvidence()
        self._announced = trio.Event()
        self._peer: trio.socket.SocketType | None = None

    async def accept(self, listener: trio.socket.SocketType, nursery: trio.Nursery) -> Never:
        turn = self.pulse.join("ready socket")
        try:
            while True:
                turn.seen = self.pulse.round
                with trio.move_on_after(_SHOW_S):  # cancelled, accept() has accepted nobody
                    accepted, _address = await listener.accept()
                    self._take(accepted, nursery)
        finally:
            self._close_peer()

    def _take(self, accepted: trio.socket.SocketType, nursery: trio.Nursery) -> None:
        uid = peer_uid(accepted)
        if uid not in self._allowed_uids:
            logger.warning("ready socket: peer refused", extra={"uid": uid})
            accepted.close()
            return
        self._close_peer()
        self._peer = accepted
        nursery.start_soon(self._follow, accepted)

    async def judge(self) -> Never:
        """Looks from an announcement on until its traffic has come, or its host must have left."""
        turn = self.pulse.join("wedge judge")
        while True:
            turn.seen = self.pulse.round
            with trio.move_on_after(_SHOW_S):
                await self._announced.wait()
            self._announced = trio.Event()
            suspected = False
            while self._evidence.is_open(trio.current_time(), self._transfers()):
                wedged = self._evidence.is_wedged(trio.current_time(), self._transfers())
                # Twice in a row: after a stall of this very process, the transfers that have come
                # meanwhile may be counted after this task has run.
                if wedged and suspected:
                    self._report()
                suspected = wedged
                turn.seen = self.pulse.round
                await trio.sleep(_LOOK_S)

    async def _follow(self, peer: trio.socket.SocketType) -> None:
        """Takes the peer's announcements until it has left or was replaced."""
        with suppress(OSError, trio.ClosedResourceError):
            while data := await peer.recv(_READ_BYTES):
                self._usb.suspends += data.count(SUSPENDED)
                if SESSION_ANNOUNCED in data:
                    self._evidence.announce(trio.current_time(), self._transfers())
                    self._announced.set()
        peer.close()

    def _report(self) -> None:
        """The registrar has the controller bounced; the evidence starts anew."""
        self._evidence.clear()
        self._usb.bounces += 1
        logger.warning("announced transfers never complete, usb controller seems wedged")
        if self._peer is not None:
            with suppress(OSError):  # full, or just closed: the evidence will come again
                os.write(self._peer.fileno(), WEDGED)

    def _close_peer(self) -> None:
        if self._peer is not None:
            self._peer.close()
