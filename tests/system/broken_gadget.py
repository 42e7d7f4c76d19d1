"""The gadget daemon with a fault that a ping sets off, and with its limits shortened.

`python -m tests.system.broken_gadget NAME` runs it. Never part of the product: it patches what the
daemon has loaded, from outside. The faults are what the watchdog and the stop limit are for.
"""

import sys
import time
from collections.abc import Callable
from typing import Final

import trio

import gadget.channel
import gadget.part
import gadget.revival
from broker.messages import PingRequest, PingResponse
from broker.peer import Peer
from gadget.__main__ import main
from gadget.endpoints import EndpointStream
from gadget.part import Part
from gadget.rpc import Service
from gadget.signature_log import SignatureLog

__all__ = ["FAULTS", "TRIGGER"]

TRIGGER: Final = b"break"
_FOR_EVER_S: Final = 3600


def _shorten_limits() -> None:
    for module in (gadget.channel, gadget.revival):
        setattr(module, "PULSE_PERIOD_S", 0.5)  # noqa: B010 - mypy guards plain ones
    setattr(gadget.channel, "_BUSY_LIMIT_S", {0: 3.0, 1: 60.0})  # noqa: B010
    setattr(gadget.revival, "_END_LIMIT_S", 1.0)  # noqa: B010
    setattr(gadget.part, "_GRACE_S", 2.0)  # noqa: B010


def _break_ping(fault: Callable[[], "object"]) -> None:
    answer_ping = Service._ping

    async def ping(service: Service, request: PingRequest) -> PingResponse:
        if request.token == TRIGGER:
            waiting = fault()
            if waiting is not None:
                await waiting  # type: ignore[misc]
        return await answer_ping(service, request)

    setattr(Service, "_ping", ping)  # noqa: B010


def _block_loop() -> None:
    """A call that should be asynchronous and is not."""
    _break_ping(lambda: time.sleep(_FOR_EVER_S))


async def _hang() -> None:
    with trio.CancelScope(shield=True):
        await trio.sleep(_FOR_EVER_S)


def _hang_worker() -> None:
    """A request that never ends, and that nothing can cancel."""
    _break_ping(_hang)


def _lose_worker() -> None:
    """A request that waits for something that never comes."""
    _break_ping(trio.sleep_forever)


def _hang_timekeeper() -> None:
    keep_time_really = Peer._keep_time

    async def keep_time(peer: Peer) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(keep_time_really, peer)
            await broken.wait()
            nursery.cancel_scope.cancel()
        await _hang()

    async def set_broken() -> None:
        broken.set()

    broken = trio.Event()
    setattr(Peer, "_keep_time", keep_time)  # noqa: B010
    _break_ping(set_broken)


def _hang_signature_log() -> None:
    async def write_held(_log: SignatureLog, _part: Part) -> None:
        if broken.is_set():
            await _hang()

    async def set_broken() -> None:
        broken.set()

    broken = trio.Event()
    setattr(SignatureLog, "_write_held", write_held)  # noqa: B010
    _break_ping(set_broken)


def _hang_clean_up() -> None:
    """Endpoints that do not close: hardware that does not answer."""

    async def aclose(_stream: EndpointStream) -> None:
        await _hang()

    setattr(EndpointStream, "aclose", aclose)  # noqa: B010


FAULTS: Final[dict[str, Callable[[], None]]] = {
    "loop-blocked": _block_loop,
    "worker-hangs": _hang_worker,
    "worker-waits": _lose_worker,
    "timekeeper-hangs": _hang_timekeeper,
    "signature-log-hangs": _hang_signature_log,
    "clean-up-hangs": _hang_clean_up,
}


if __name__ == "__main__":
    _shorten_limits()
    FAULTS[sys.argv[1]]()
    sys.exit(main())
