"""The signer's TCP listeners: accepts for years, and listens again where the socket itself fails.

Owns binding and the back-off between attempts. What a connection carries is `host.http_server`'s,
which calls this. Too many open files or a connection that was gone before it was taken are no
failures of the socket: trio goes on by itself.
"""

import logging
from collections.abc import Awaitable, Callable
from typing import Final

import trio

from broker.backoff import Backoff
from host.settings import ListenAddress

__all__ = ["open_listeners", "serve_again"]

logger = logging.getLogger(__name__)

_BACKOFF_FIRST_S: Final = 0.1
_BACKOFF_LIMIT_S: Final = 5.0
_STABLE_S: Final = 60.0


async def open_listeners(address: ListenAddress, backlog: int) -> list[trio.SocketListener]:
    """Raises: OSError: it can't listen there."""
    return await trio.open_tcp_listeners(address.port, host=address.host, backlog=backlog)


async def serve_again(
    handle: Callable[[trio.SocketStream], Awaitable[None]],
    listeners: list[trio.SocketListener],
    address: ListenAddress,
    *,
    backlog: int,
    connections: trio.Nursery,
) -> None:
    """Accepts until it is cancelled; what was accepted is handled in `connections`.

    Args:
        listeners: the first ones, which are closed here.
        address: where to listen again; its port is never 0.
    """
    backoff = Backoff(first_s=_BACKOFF_FIRST_S, limit_s=_BACKOFF_LIMIT_S)
    while True:
        started_s = trio.current_time()
        try:
            await trio.serve_listeners(handle, listeners, handler_nursery=connections)
        except* OSError as group:
            _tell("the signer's socket failed", address, str(group.exceptions[0]))
        if trio.current_time() - started_s >= _STABLE_S:
            backoff.reset()
        listeners = await _listen_again(address, backlog, backoff)
        logger.warning("listening again", extra={"url": address.url})


async def _listen_again(
    address: ListenAddress, backlog: int, backoff: Backoff
) -> list[trio.SocketListener]:
    while True:
        await trio.sleep(backoff.next_delay_s())
        try:
            return await open_listeners(address, backlog)
        except OSError as error:
            _tell("the signer can't listen", address, str(error))


def _tell(event: str, address: ListenAddress, reason: str) -> None:
    logger.error(event, extra={"url": address.url, "reason": reason})
