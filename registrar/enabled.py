"""Serves the enabled socket: it exists, and accepts, exactly while USB is enabled. I/O.

The gadget holds a connection; that it is closed tells that USB is disabled, or enabled anew. When
that is so `registrar.daemon` decides.
"""

import logging
import selectors
import socket
from functools import partial
from pathlib import Path
from typing import Final

from registrar.errors import SocketRefused
from registrar.sockets import is_closed_by_peer, listen_local, peer_uid, remove_socket

__all__ = ["CONNECTIONS_LIMIT", "SOCKET_MODE", "EnabledServer"]

CONNECTIONS_LIMIT: Final = 8
SOCKET_MODE: Final = 0o660

logger = logging.getLogger(__name__)


class EnabledServer:
    """Registers what it waits for in the caller's selector, with what to call as the key's data.

    Args:
        allowed_uids: who may connect; anybody else is closed at once.
        connections_limit: one more connection closes the eldest, which most likely is a leaked one.
    """

    def __init__(
        self,
        selector: selectors.BaseSelector,
        path: Path,
        *,
        allowed_uids: frozenset[int],
        mode: int = SOCKET_MODE,
        connections_limit: int = CONNECTIONS_LIMIT,
    ) -> None:
        self._selector = selector
        self._path = path
        self._allowed_uids = allowed_uids
        self._mode = mode
        self._connections_limit = connections_limit
        self._listener: socket.socket | None = None
        self._connections: list[socket.socket] = []  # the eldest first

    @property
    def connection_count(self) -> int:
        return len(self._connections)

    def start(self) -> None:
        """Raises SocketRefused: the socket cannot be made, so the device would be of no use."""
        try:
            self._listener = listen_local(self._path, self._mode)
        except OSError as error:
            raise SocketRefused(f"cannot serve {self._path}: {error.strerror}") from error
        self._selector.register(self._listener, selectors.EVENT_READ, self._accept)

    def stop(self) -> None:
        """The socket goes first, so whoever learns of it by its connection cannot come back
        here."""
        if self._listener is not None:
            self._selector.unregister(self._listener)
            remove_socket(self._path, self._listener)
            self._listener = None
        while self._connections:
            self._drop(self._connections[0])

    def _accept(self) -> None:
        if self._listener is None:
            return  # stopped since the selector saw it
        try:
            connection, _ = self._listener.accept()
        except (BlockingIOError, ConnectionAbortedError):
            return
        uid = peer_uid(connection)
        if uid not in self._allowed_uids:
            logger.warning("connection to the enabled socket refused", extra={"uid": uid})
            connection.close()
            return
        if len(self._connections) >= self._connections_limit:
            logger.warning("too many connections to the enabled socket, eldest closed")
            self._drop(self._connections[0])
        connection.setblocking(False)
        self._connections.append(connection)
        forget = partial(self._drop_if_closed, connection)
        self._selector.register(connection, selectors.EVENT_READ, forget)

    def _drop_if_closed(self, connection: socket.socket) -> None:
        if connection in self._connections and is_closed_by_peer(connection):
            self._drop(connection)

    def _drop(self, connection: socket.socket) -> None:
        self._selector.unregister(connection)
        self._connections.remove(connection)
        connection.close()
