"""The revival loop: whenever USB is enabled the brokers run; whatever ends them, they run again.

A session lasts from "USB is enabled" (the registrar's socket accepts) until that socket closes, or
until a broker dies or hangs. What fails here is started again by `gadget.supervisor`. Keys stay
unlocked all the while.

The heartbeat of this part is worth something: while a session is up, each is a round through every
task of both brokers and of the ready socket; without one, a try to connect.
"""

import logging
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Final, Never

import trio

from broker.pulse import Pulse
from gadget.channel import PULSE_PERIOD_S, Channel, open_channels
from gadget.errors import PartStuckError
from gadget.health.meters import Meters, UsbMeter
from gadget.part import Part
from gadget.ready import serve_ready
from gadget.rpc import Service
from gadget.settings import Settings

__all__ = ["run_revival"]

_ASK_AGAIN_S: Final = 0.1
_OPEN_LIMIT_S: Final = 10.0
# A passphrase that is being checked when the session ends is not interrupted.
_END_LIMIT_S: Final = 30.0
_SOCKET_ROUNDS: Final = 3

logger = logging.getLogger(__name__)


async def run_revival(
    settings: Settings,
    service: Service,
    ready_uids: frozenset[int],
    part: Part,
    meters: Meters | None = None,
) -> Never:
    """Serves the host, session after session.

    Raises:
        LinkLost, PartStuckError, OSError: a session failed; start again. In groups.
    """
    # The registrar writes descriptors before it serves the socket: endpoints exist from then on.
    meters = meters or Meters()
    enabled = await _wait_enabled(settings.enabled_socket, part)
    part.beat(_OPEN_LIMIT_S)
    try:
        async with enabled, open_channels(settings.functionfs, service, meters) as channels:
            while True:
                meters.usb.count_enable()
                async with enabled:
                    await _serve_session(
                        settings.ready_socket,
                        channels,
                        ready_uids,
                        enabled,
                        part=part,
                        usb=meters.usb,
                    )
                meters.usb.disables += 1
                enabled = await _wait_enabled(settings.enabled_socket, part)
    finally:
        part.beat(_END_LIMIT_S)


async def _serve_session(
    ready_socket: Path,
    channels: Sequence[Channel],
    ready_uids: frozenset[int],
    enabled: trio.SocketStream,
    *,
    part: Part,
    usb: UsbMeter,
) -> None:
    """Brings the brokers up, says ready, and takes them down when USB is disabled."""
    async with trio.open_nursery() as nursery:
        for channel in channels:
            await nursery.start(channel.run)

        def transfers() -> int:
            return sum(channel.transfers_received for channel in channels)

        async with serve_ready(ready_socket, ready_uids, transfers, usb) as socket_pulse:
            logger.info("session is live")
            checks = [channel.check_pulse for channel in channels]
            checks.append(partial(_check_socket, socket_pulse))
            await _follow(enabled, checks, part)
        logger.info("usb is disabled, session ends")
        nursery.cancel_scope.cancel()


async def _follow(
    enabled: trio.SocketStream, checks: Sequence[Callable[[], None]], part: Part
) -> None:
    """Returns when USB is disabled. Raises: PartStuckError, as the checks do."""
    try:
        while True:
            part.status = "serving"
            part.beat(PULSE_PERIOD_S)
            with trio.move_on_after(PULSE_PERIOD_S):
                await _wait_closed(enabled)
                return
            for check in checks:
                check()
    finally:
        part.status = "ending a session"
        part.beat(_END_LIMIT_S)


def _check_socket(pulse: Pulse) -> None:
    missed = pulse.begin_round()
    if missed.rounds > _SOCKET_ROUNDS:
        raise PartStuckError(f"the {missed.task} has missed {missed.rounds} rounds")


async def _wait_enabled(path: Path, part: Part) -> trio.SocketStream:
    """Returns a connection to the enabled socket; tries every 100 ms until there is one."""
    part.status = "waiting for USB"
    while True:
        part.beat(_ASK_AGAIN_S)
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
