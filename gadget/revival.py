"""The revival loop: whenever USB is enabled the brokers run; whatever ends them, they run again.

A session lasts from "USB is enabled" (the registrar's socket accepts) until that socket closes, or
until a broker dies. Only the caller's cancellation ends the loop. Keys stay unlocked all the while.
"""

import logging
from pathlib import Path
from typing import Final, Never

import trio

from broker.errors import LinkLost
from gadget.channel import Channel, open_channels
from gadget.ready import serve_ready
from gadget.restart_delay import RestartDelay
from gadget.rpc import Service
from gadget.settings import Settings

__all__ = ["run_revival"]

_ASK_AGAIN_S: Final = 0.1

logger = logging.getLogger(__name__)


async def run_revival(settings: Settings, service: Service, ready_uids: frozenset[int]) -> Never:
    """Serves the host for ever: session after session, with delays after failures only."""
    delay = RestartDelay()
    while True:
        started_s = trio.current_time()
        try:
            # The registrar writes descriptors before it serves the socket: endpoints exist from
            # then on.
            first = await _wait_enabled(settings.enabled_socket)
            async with first, open_channels(settings.functionfs, service) as channels:
                await _serve_sessions(settings, channels, ready_uids, first)
        except* (LinkLost, OSError) as group:
            pause_s = delay.after_run(trio.current_time() - started_s)
            logger.warning(
                "session failed, starting again",
                extra={"reasons": _reasons(group), "failures": delay.failures, "pause_s": pause_s},
            )
            await trio.sleep(pause_s)


async def _serve_sessions(
    settings: Settings,
    channels: tuple[Channel, ...],
    ready_uids: frozenset[int],
    enabled: trio.SocketStream,
) -> Never:
    """Runs a session for each time that USB is enabled, on the same open endpoints."""
    while True:
        async with enabled:
            await _serve_session(settings.ready_socket, channels, ready_uids, enabled)
        enabled = await _wait_enabled(settings.enabled_socket)


async def _serve_session(
    ready_socket: Path,
    channels: tuple[Channel, ...],
    ready_uids: frozenset[int],
    enabled: trio.SocketStream,
) -> None:
    """Brings the brokers up, says ready, and takes them down when USB is disabled."""
    async with trio.open_nursery() as nursery:
        for channel in channels:
            await nursery.start(channel.run)

        def transfers() -> int:
            return sum(channel.transfers_received for channel in channels)

        async with serve_ready(ready_socket, ready_uids, transfers):
            logger.info("session is live")
            await _wait_closed(enabled)
        logger.info("usb is disabled, session ends")
        nursery.cancel_scope.cancel()


async def _wait_enabled(path: Path) -> trio.SocketStream:
    """Returns a connection to the enabled socket; tries every 100 ms until there is one."""
    while True:
        try:
            return await trio.open_unix_socket(path)
        except OSError:
            await trio.sleep(_ASK_AGAIN_S)


async def _wait_closed(enabled: trio.SocketStream) -> None:
    """Returns when the registrar has closed the connection. It never sends a byte."""
    try:
        while await enabled.receive_some(64):
            pass
    except trio.BrokenResourceError:
        return


def _reasons(group: BaseExceptionGroup[BaseException]) -> str:
    """One line for all leaves of the group."""
    leaves: list[str] = []
    for error in group.exceptions:
        if isinstance(error, BaseExceptionGroup):
            leaves.append(_reasons(error))
        else:
            leaves.append(f"{type(error).__name__}: {error}")
    return "; ".join(leaves)
