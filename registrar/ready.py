"""Follows the gadget's ready socket while USB is enabled: a connection means ready. I/O.

The answer to the host's ready request comes from here, so it is asked at the moment of the answer
and never waits. Over the connection the gadget hears of sessions that hosts announce, and tells
when the controller is wedged by evidence. `registrar.daemon` starts and stops it.
"""

import logging
import selectors
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

from registrar.sockets import SESSION_ANNOUNCED, SUSPENDED, WEDGED, connect_local, peer_uid

__all__ = ["RETRY_S", "ReadyLink"]

RETRY_S: Final = 0.1
_READ_BYTES: Final = 64

logger = logging.getLogger(__name__)


class ReadyLink:
    """Registers its connection in the caller's selector, with what to call as the key's data.

    Args:
        allowed_uids: who may serve the socket; anybody else does not count as ready.
        retry_s: pause before each try to connect, also before the first one: after a new ENABLE
            the gadget's old session may still be served for a moment.
        on_wedge: called when the gadget says that the controller is wedged.
    """

    def __init__(
        self,
        selector: selectors.BaseSelector,
        path: Path,
        *,
        allowed_uids: frozenset[int],
        on_wedge: Callable[[], None],
        retry_s: float = RETRY_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._selector = selector
        self._path = path
        self._allowed_uids = allowed_uids
        self._on_wedge = on_wedge
        self._retry_s = retry_s
        self._clock = clock
        self._connection: socket.socket | None = None
        self._next_try_s: float | None = None

    @property
    def is_connected(self) -> bool:
        """What was true when `check` was called last."""
        return self._connection is not None

    def start(self) -> None:
        self._next_try_s = self._clock() + self._retry_s

    def stop(self) -> None:
        self._close()
        self._next_try_s = None

    def wait_s(self) -> float | None:
        """Returns how long the caller may wait before it calls `connect_if_due`; None: for ever."""
        if self._next_try_s is None:
            return None
        return max(0.0, self._next_try_s - self._clock())

    def connect_if_due(self) -> None:
        if self._next_try_s is None or self._clock() < self._next_try_s:
            return
        self._next_try_s = self._clock() + self._retry_s
        try:
            connection = connect_local(self._path)
        except OSError:
            return  # not served, or its queue is full: not ready yet, either way
        uid = peer_uid(connection)
        if uid not in self._allowed_uids:
            logger.warning("ready socket is served by a stranger", extra={"uid": uid})
            connection.close()
            return
        self._next_try_s = None
        self._connection = connection
        self._selector.register(connection, selectors.EVENT_READ, self.check)
        logger.info("gadget is ready")

    def check(self) -> bool:
        """Says whether the gadget is ready right now, even if the selector has not told yet."""
        if self._connection is None:
            return False
        if not self._read(self._connection):
            return True
        logger.info("gadget is not ready any more")
        self._close()
        self._next_try_s = self._clock() + self._retry_s
        return False

    def announce(self) -> None:
        """A host was told "ready" and opens a session. Dropped where the gadget does not read."""
        self._tell(SESSION_ANNOUNCED)

    def tell_suspended(self) -> None:
        """The bus is suspended; the gadget counts it. Dropped likewise."""
        self._tell(SUSPENDED)

    def _tell(self, news: bytes) -> None:
        if self._connection is not None:
            with suppress(OSError):
                self._connection.send(news)

    def _read(self, connection: socket.socket) -> bool:
        """Returns whether the gadget has closed."""
        try:
            data = connection.recv(_READ_BYTES)
        except BlockingIOError:
            return False
        except OSError:
            return True
        if WEDGED in data:
            self._on_wedge()
        return not data

    def _close(self) -> None:
        if self._connection is not None:
            self._selector.unregister(self._connection)
            self._connection.close()
            self._connection = None
