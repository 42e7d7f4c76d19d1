"""Scenario 3a: the gadget is killed with SIGKILL, and started again as systemd would.

It dies idle, or in the phase that `mortal_gadget` was told; what the host saw and what the marks
say afterwards is the evidence that the phase was hit.
"""

from typing import Final

import trio

from broker.messages import ErrorCode
from host.client import Client
from host.connection import open_session as verify_session
from host.errors import HostError
from tests.faults.bystander import connect_patiently, enter_answer, sign_new
from tests.faults.findings import Findings
from tests.faults.ledger import Question
from tests.faults.mortal_gadget import COMMAND
from tests.faults.phases import ALL_PHASES, IDLE, order_kill, wait_killed
from tests.faults.promises import check_marks, check_refused, refusal
from tests.faults.stack import Stack, open_manager

__all__ = ["kill_gadget"]

_DYING_S: Final = 3.0
_BACK_S: Final = 2.0


async def kill_gadget(stack: Stack, findings: Findings, kills: int) -> None:
    times_s = []
    for number in range(kills):
        phase = ALL_PHASES[number % len(ALL_PHASES)]
        question = await _die_in(stack, findings, phase)
        findings.check(not stack.board.is_ready(), "a dead gadget was called ready")
        times_s.append(await _restart(stack))
        await _check_locked(stack, findings, question)
        await stack.unlock()
        _check_marks(stack, findings, phase, question)
        await _ask_again(stack, findings, question)
    # Under emulation a start takes as long as it does: the slowest may take so much longer.
    findings.worst("killed to ready, s", max(times_s), min(times_s) + _BACK_S)


async def _restart(stack: Stack) -> float:
    """Returns how long it took until a host was told that the board is ready."""
    started_s = trio.current_time()
    await trio.to_thread.run_sync(stack.board.start_gadget, COMMAND)
    return trio.current_time() - started_s


async def _die_in(stack: Stack, findings: Findings, phase: str) -> Question:
    """Kills it; returns what was asked when it died, or what nobody has asked yet."""
    gadget = stack.board.gadget
    assert gadget is not None
    connection = await connect_patiently(findings)
    async with verify_session(connection.stream) as session:
        client = Client(session)
        await sign_new(stack, findings, client)
        question = stack.next_question()
        await order_kill(stack, phase, gadget)
        if phase != IDLE:
            await _ask_the_dying(stack, findings, client, question)
        await wait_killed(gadget)
    stack.board.gadget = None
    findings.count(f"killed {phase}")
    return question


async def _ask_the_dying(
    stack: Stack, findings: Findings, client: Client, question: Question
) -> None:
    """Its answer may come all the same, where it died after it was on its way."""
    with trio.move_on_after(_DYING_S):
        try:
            signature = await client.sign(question.place.address, question.payload)
        except HostError as error:
            findings.count(f"died without an answer: {type(error).__name__}")
            return
        enter_answer(stack, findings, question, signature)
        findings.count("died after its answer")
        return
    findings.count("died without an answer: no answer in time")


async def _check_locked(stack: Stack, findings: Findings, question: Question) -> None:
    """Ready means that it answers; and no key came back unlocked by itself."""
    async with open_manager() as client:
        states = {key.lock_state for key in await client.status()}
    findings.check(states == {"locked"}, f"after a kill the keys are {states}")
    connection = await connect_patiently(findings)
    async with verify_session(connection.stream) as session:
        code = await refusal(Client(session), question)
    findings.check(code == ErrorCode.KEY_LOCKED, f"a locked key answered with code {code}")


def _check_marks(stack: Stack, findings: Findings, phase: str, question: Question) -> None:
    """After `stack.unlock`: no mark is below what was released, and the phase is the one meant."""
    check_marks(stack, findings)
    mark = stack.marks().get((question.place.address, question.place.kind), -1)
    recorded = mark >= question.place.level
    if recorded:
        findings.count(f"killed {phase}: mark recorded")
    may_be_recorded = phase in {"writing marks", "answering"}
    findings.check(may_be_recorded or not recorded, f"{phase}: its mark is recorded already")
    findings.check(recorded or phase != "answering", "an answer went out before its mark was kept")


async def _ask_again(stack: Stack, findings: Findings, question: Question) -> None:
    connection = await connect_patiently(findings)
    async with verify_session(connection.stream) as session:
        client = Client(session)
        signature = await client.sign(question.place.address, question.payload)
        enter_answer(stack, findings, question, signature)
        await check_refused(client, findings, question)
