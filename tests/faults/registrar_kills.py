"""Scenario 3b: the registrar is killed with SIGKILL while the host asks for signatures.

Nobody keeps its descriptors here (3c has systemd), so the next one opens ep0 anew: the gadget's
endpoint files keep the device on the bus meanwhile, the gadget's session ends and begins again, the
host's goes on, and what was on its way is asked again. The phase is that of a request in the
gadget, which does the killing.
"""

from functools import partial
from typing import Final

import trio

from broker.contract import VENDOR_ID
from host.client import Client
from host.connection import open_session as verify_session
from tests.faults.bystander import connect_patiently
from tests.faults.findings import Findings
from tests.faults.load import Load
from tests.faults.phases import ALL_PHASES, IDLE, order_kill, wait_killed
from tests.faults.promises import check_marks, check_refused
from tests.faults.stack import Stack, open_manager, open_session
from tests.kernel.registrar_board import RegistrarProcess
from tests.kernel.usbfs import find_device
from tests.registrar.loop import wait_until

__all__ = ["kill_registrar"]

_BACK_S: Final = 2.0
_PATIENCE_S: Final = 60.0
_TAKEN_OVER: Final = "ep0 is taken over"


async def kill_registrar(stack: Stack, findings: Findings, kills: int) -> None:
    """Keys stay unlocked throughout: the process that has them goes on."""
    assert stack.board.gadget is not None
    before = (stack.board.gadget.pid, _device_number())
    ended = stack.board.gadget_log().count("session ends")
    times_s = await _kill_under_load(stack, findings, kills)
    ended = stack.board.gadget_log().count("session ends") - ended
    # The kernel closes the connections of the dead before the socket that it listened on: a gadget
    # that asks again in between has a session that ends with that.
    findings.check(kills <= ended <= 2 * kills, f"{ended} sessions of the gadget ended")
    for when, each_s in times_s.items():
        # Under emulation a start takes as long as it does: the slowest may take so much longer.
        name = f"killed to ready {when}, s"
        findings.worst(name, max(each_s), min(each_s) + _BACK_S)
    after = (stack.board.gadget.pid, _device_number())
    findings.check(before == after, f"gadget and device were {before}, are {after}")
    await stack.look()
    check_marks(stack, findings)
    await _check_all_refused(stack, findings)


async def _kill_under_load(stack: Stack, findings: Findings, kills: int) -> dict[str, list[float]]:
    """Returns how long each took. The idle ones come first, since the load never rests; beside it
    Python itself takes longer to start."""
    numbers = {phase: len(range(at, kills, 4)) for at, phase in enumerate(ALL_PHASES)}
    async with open_session() as session:
        at_rest = [await _kill(stack, findings, IDLE) for _ in range(numbers.pop(IDLE))]
        under_load = []
        async with trio.open_nursery() as nursery:
            load = Load(session.client, stack.ledger, findings)
            for places in stack.streams():
                nursery.start_soon(load.run, places)
            for phase, number in numbers.items():
                for _ in range(number):
                    await load.wait_new(trio.current_time())
                    under_load.append(await _kill(stack, findings, phase))
            await load.wait_new(trio.current_time())
            nursery.cancel_scope.cancel()
    findings.count("sessions of the host lost", session.counters().lost)
    return {"at rest": at_rest, "under load": under_load}


async def _kill(stack: Stack, findings: Findings, phase: str) -> float:
    """Returns the time until a host was told ready again, which it was told truly."""
    board = stack.board
    await order_kill(stack, phase, board.registrar.process)
    await wait_killed(board.registrar.process)
    killed_s = trio.current_time()
    findings.count(f"killed {phase}")
    findings.count("stale sockets in the way", int(board.registrar.enabled_socket.exists()))
    start = partial(RegistrarProcess, board.assets, started=_TAKEN_OVER)
    board.registrar = await trio.to_thread.run_sync(start)
    taken_over_s = trio.current_time()
    await trio.to_thread.run_sync(wait_until, board.is_ready, _PATIENCE_S)
    ready_s = trio.current_time()
    findings.worst("ep0 taken over to ready, s", ready_s - taken_over_s, _BACK_S)
    async with open_manager() as client:  # at the first try
        states = {key.lock_state for key in await client.status()}
    findings.check(states == {"unlocked"}, f"after a kill the keys are {states}")
    return ready_s - killed_s


async def _check_all_refused(stack: Stack, findings: Findings) -> None:
    connection = await connect_patiently(findings)
    async with verify_session(connection.stream) as session:
        for question in stack.ledger.latest():
            await check_refused(Client(session), findings, question)


def _device_number() -> int:
    """Another one each time that the device has left the bus."""
    return int((find_device(VENDOR_ID) / "devnum").read_text())
