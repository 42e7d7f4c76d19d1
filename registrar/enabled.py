"""Serves the enabled socket: it exists, and accepts, exactly while USB is enabled. I/O.

The gadget holds a connection; that it is closed tells that USB is disabled, or enabled anew. When
that is so `registrar.daemon` decides. systemd keeps a copy of each connection, so that the gadget's
session does not end with this process (`registrar.inheritance`).
"""

import logging
import selectors
import socket
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Final

from registrar.errors import SocketRefused
from registrar.inheritance import SESSION_NAMES
from registrar.notify import remove_stored, store_descriptor
from registrar.sockets import (
    is_closed_by_peer,
    listen_local,
    peer_uid,
    remove_socket,
    remove_stale,
)

__all__ = ["SOCKET_MODE", "EnabledServer"]

SOCKET_MODE: Final = 0o660

logger = logging.getLogger(__name__)


class EnabledServer:
    """Registers what it waits for in the caller's selector, with what to call as the key's data.

    Args:
        allowed_uids: who may connect; anybody else is closed at once.
        names: of the connections in systemd's store. One connection more than there are names
            closes the eldest, which most likely is a leaked one.
    """

    def __init__(
        self,
        selector: selectors.BaseSelector,
        path: Path,
        *,
        allowed_uids: frozenset[int],
        mode: int = SOCKET_MODE,
        names: tuple[str, ...] = SESSION_NAMES,
    ) -> None:
        self._selector = selector
        self._path = path
        self._allowed_uids = allowed_uids
        self._mode = mode
        self._names = names
        self._listener: socket.socket | None = None
        self._connections: dict[str, socket.socket] = {}  # the eldest first

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

    def clean(self) -> None:
        """Removes the socket of a process that was killed, where this one does not serve yet."""
        with suppress(OSError):  # whatever else is there: `start` will say so
            remove_stale(self._path)

    def adopt(self, connections: dict[str, socket.socket]) -> None:
        """Goes on with an earlier process's connections; ends them where it serves nothing."""
        for name, connection in connections.items():
            self._keep(name, connection)
            is_welcome = self._listener is not None and self._is_allowed(connection)
            if not is_welcome or is_closed_by_peer(connection):
                self._drop(name)

    def stop(self) -> None:
        """The socket goes first, so whoever learns of it by its connection cannot come back
        here."""
        self._stop_listening()
        for name in list(self._connections):
            self._drop(name)

    def release(self) -> None:
        """As `stop`, but connections that systemd has a copy of go on: they are for the next
        process."""
        self._stop_listening()
        for connection in self._connections.values():
            self._selector.unregister(connection)
            connection.close()
        self._connections.clear()

    def _stop_listening(self) -> None:
        if self._listener is not None:
            self._selector.unregister(self._listener)
            remove_socket(self._path, self._listener)
            self._listener = None

    def _accept(self) -> None:
        if self._listener is None:
            return  # stopped since the selector saw it
        try:
            connection, _ = self._listener.accept()
        except (BlockingIOError, ConnectionAbortedError):
            return
        if not self._is_allowed(connection):
            connection.close()
            return
        if len(self._connections) >= len(self._names):
            logger.warning("too many connections to the enabled socket, eldest closed")
            self._drop(next(iter(self._connections)))
        name = next(name for name in self._names if name not in self._connections)
        self._keep(name, connection)
        store_descriptor(name, connection.fileno())

    def _is_allowed(self, connection: socket.socket) -> bool:
        uid = peer_uid(connection)
        if uid in self._allowed_uids:
            return True
        logger.warning("connection to the enabled socket refused", extra={"uid": uid})
        return False

    def _keep(self, name: str, connection: socket.socket) -> None:
        connection.setblocking(False)
        self._connections[name] = connection
        forget = partial(self._drop_if_closed, name, connection)
        self._selector.register(connection, selectors.EVENT_READ, forget)

    def _drop_if_closed(self, name: str, connection: socket.socket) -> None:
        if self._connections.get(name) is connection and is_closed_by_peer(connection):
            self._drop(name)

    def _drop(self, name: str) -> None:
        connection = self._connections.pop(name)
        self._selector.unregister(connection)
        # Also ends the copy that systemd has, which a mere close would leave open.
        with suppress(OSError):
            connection.shutdown(socket.SHUT_RDWR)
        remove_stored(name)
        connection.close()
