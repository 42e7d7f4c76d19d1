"""The board's own read-only health socket: who connects gets the report and the end.

For a person or a program on the board itself: `socat - UNIX-CONNECT:/run/tezsign/health.sock`.
Nothing is read from a connection, so nothing can be asked for. Mode 0660: accounts of the board's
group, as for the other sockets. A part of the daemon.
"""

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Final, Never

import trio

from gadget.part import Part
from registrar.sockets import listen_local, remove_socket

__all__ = ["serve_health"]

logger = logging.getLogger(__name__)

_MODE: Final = 0o660
_SHOW_S: Final = 30.0
_SEND_S: Final = 2.0


async def serve_health(path: Path, report: Callable[[], bytes], part: Part) -> Never:
    """Serves until it is cancelled, one connection at a time.

    Raises:
        OSError: the socket can't be bound; try again.
    """
    listener = listen_local(path, _MODE)
    try:
        socket = trio.socket.from_stdlib_socket(listener)
        while True:
            part.status = "serving"
            part.beat(_SHOW_S)
            with trio.move_on_after(_SHOW_S):
                accepted, _ = await socket.accept()
                with accepted:
                    await _send(accepted, report() + b"\n")
    finally:
        remove_socket(path, listener)


async def _send(accepted: trio.socket.SocketType, data: bytes) -> None:
    """Gives up on who does not read: that is its own affair."""
    with trio.move_on_after(_SEND_S):
        try:
            await trio.SocketStream(accepted).send_all(data)
        except trio.BrokenResourceError:
            return
