"""Scenarios 2a to 2c: what a host does to the bus while it asks for signatures.

Suspend and resume go to the root hub's port directly: Linux suspends no device that a session has
open, other hosts do.
"""

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from fcntl import ioctl
from pathlib import Path
from typing import Final

import trio

from broker.contract import VENDOR_ID
from registrar.events import Setup
from tests.faults.findings import Findings
from tests.faults.load import Load
from tests.faults.stack import Stack, open_session
from tests.faults.transfer_trace import TransferTrace
from tests.faults.wait import wait_true
from tests.kernel.usb_control import ControlHost
from tests.kernel.usbfs import find_device

__all__ = ["reset_port", "select_configuration", "suspend_and_resume"]

_ROOT_HUB: Final = Path("/sys/bus/usb/devices/usb1")
# USB 2.0, 11.24.2: class requests to a port of a hub.
_TO_PORT: Final = 0x23
_FROM_PORT: Final = 0xA3
_CLEAR_FEATURE: Final = 1
_SET_FEATURE: Final = 3
_PORT_SUSPEND: Final = 2
_SUSPENDED_BIT: Final = 1 << 2
_PORT: Final = 1
_USBDEVFS_RESET: Final = 0x5514
_SUSPENDED: Final = "state=suspended"
_NEXT_S: Final = 2.0
_ON_ITS_WAY_S: Final = 0.1
_PAUSE_S: Final = 0.2


async def suspend_and_resume(stack: Stack, findings: Findings, cycles: int) -> None:
    """SUSPEND pauses and RESUME goes on: no session is lost, no transfer fails or is taken back."""
    registrar = stack.board.registrar
    hub = ControlHost(_ROOT_HUB)

    async def cycle(_number: int) -> None:
        before = registrar.count(_SUSPENDED)
        hub.request(_port_request(_SET_FEATURE))
        await wait_true(lambda: registrar.has_more(_SUSPENDED, before))
        await _check_paused(stack, findings)
        hub.request(_port_request(_CLEAR_FEATURE))
        await wait_true(lambda: not _is_suspended(hub))
        findings.count("suspend/resume")

    ended = stack.board.gadget_log().count("session ends")
    try:
        with TransferTrace() as trace:
            lost = await _disturb(stack, findings, cycles, cycle)
    finally:
        hub.close()
    findings.check(lost == 0, f"{lost} sessions of the host were lost over a suspend")
    ended = stack.board.gadget_log().count("session ends") - ended
    findings.check(ended == 0, f"{ended} sessions of the board ended over a suspend")
    findings.count("transfers completed", trace.completed)
    findings.check(trace.completed > 0, "no transfer was seen")
    findings.check(trace.failed == 0, f"{trace.failed} transfers failed over a suspend")
    findings.check(trace.taken_back == 0, f"{trace.taken_back} transfers were taken back")


async def _check_paused(stack: Stack, findings: Findings) -> None:
    """No answer comes, but those that the host had when the bus stopped."""
    await trio.sleep(_ON_ITS_WAY_S)
    signed = len(stack.ledger)
    await trio.sleep(_PAUSE_S)
    came = len(stack.ledger) - signed
    findings.check(came == 0, f"{came} answers came over a suspended bus")


def _port_request(request: int) -> Setup:
    return Setup(
        bmRequestType=_TO_PORT, bRequest=request, wValue=_PORT_SUSPEND, wIndex=_PORT, wLength=0
    )


def _is_suspended(hub: ControlHost) -> bool:
    """A resume lasts 20 ms, and dummy_hcd ends it only where its port is looked at."""
    look = Setup(bmRequestType=_FROM_PORT, bRequest=0, wValue=0, wIndex=_PORT, wLength=4)
    return bool(hub.request(look)[0] & _SUSPENDED_BIT)


async def select_configuration(stack: Stack, findings: Findings, cycles: int) -> None:
    """In turn as Linux does it, which takes the interfaces from the session; and behind its
    back."""

    async def cycle(number: int) -> None:
        device = find_device(VENDOR_ID)
        if number % 2 == 0:
            await trio.to_thread.run_sync((device / "bConfigurationValue").write_text, "1")
            findings.count("SET_CONFIGURATION by the kernel")
        else:
            with _opened(device) as host:
                host.request(Setup(bmRequestType=0, bRequest=9, wValue=1, wIndex=0, wLength=0))
            findings.count("SET_CONFIGURATION unknown to it")

    await _disturb(stack, findings, cycles, cycle)


async def reset_port(stack: Stack, findings: Findings, cycles: int) -> None:
    async def cycle(_number: int) -> None:
        with _opened(find_device(VENDOR_ID)) as host:
            await trio.to_thread.run_sync(ioctl, host.fd, _USBDEVFS_RESET)
        findings.count("port resets")

    await _disturb(stack, findings, cycles, cycle)


@contextmanager
def _opened(device: Path) -> Iterator[ControlHost]:
    host = ControlHost(device)
    try:
        yield host
    finally:
        host.close()


async def _disturb(
    stack: Stack,
    findings: Findings,
    cycles: int,
    cycle: Callable[[int], Awaitable[None]],
) -> int:
    """Runs the cycles under load; returns how many sessions of the host were lost."""
    async with open_session() as session, trio.open_nursery() as nursery:
        load = Load(session.client, stack.ledger, findings)
        for places in stack.streams():
            nursery.start_soon(load.run, places)
        for number in range(cycles):
            await load.wait_new(trio.current_time())
            await cycle(number)
            done_s = trio.current_time()
            signed_s = await load.wait_new(done_s)
            findings.worst("to the next new signature, s", signed_s - done_s, _NEXT_S)
        nursery.cancel_scope.cancel()
    return session.counters().lost
