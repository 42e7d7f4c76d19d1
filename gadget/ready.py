"""The ready socket: it exists, and accepts, exactly while both brokers are live.

The registrar connects to it and answers the host's ready request from that. One peer at a time: a
new one replaces the old, because the old may be a registrar that was killed. Called by
`gadget.revival`.
"""

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import trio

from registrar.sockets import listen_local, peer_uid, remove_socket

__all__ = ["serve_ready"]

logger = logging.getLogger(__name__)


@asynccontextmanager
async def serve_ready(path: Path, allowed_uids: frozenset[int]) -> AsyncIterator[None]:
    """Serves the socket while the block runs; at its end it is gone and its peer disconnected.

    Raises:
        OSError: the socket cannot be bound; the session cannot start.
    """
    listener = listen_local(path, 0o660)
    try:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_accept, trio.socket.from_stdlib_socket(listener), allowed_uids)
            yield
            nursery.cancel_scope.cancel()
    finally:
        remove_socket(path, listener)


async def _accept(listener: trio.socket.SocketType, allowed_uids: frozenset[int]) -> None:
    peer: trio.socket.SocketType | None = None
    try:
        while True:
            accepted, _address = await listener.accept()
            uid = peer_uid(accepted)
            if uid not in allowed_uids:
                logger.warning("ready socket: peer refused", extra={"uid": uid})
                accepted.close()
                continue
            if peer is not None:
                peer.close()
            peer = accepted
    finally:
        if peer is not None:
            peer.close()
