"""Who uses the other interface while one misbehaves, and who comes after it."""

import trio

from broker.contract import INTERFACE_MANAGE, INTERFACE_SIGN
from host.client import Client
from host.connection import Connection, connect_serial, open_session
from host.errors import DeviceUnavailable
from tests.faults.findings import Findings
from tests.faults.ledger import Question
from tests.faults.stack import Stack

__all__ = ["Bystander", "connect_patiently", "enter_answer", "sign_new"]

_PATIENCE_S = 60.0
_PAUSE_S = 0.02
_ANSWER_S = 1.0


class Bystander:
    """Asks on one interface all the time: signatures on interface 0, the status on interface 1."""

    def __init__(self, stack: Stack, findings: Findings, interface: int) -> None:
        self._stack = stack
        self._findings = findings
        self._interface = interface

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Until it is cancelled; started once it has had its first answer."""
        connection = await connect_patiently(self._findings, self._interface)
        async with open_session(connection.stream) as session:
            client = Client(session)
            await self._ask(client)
            task_status.started()
            while True:
                started_s = trio.current_time()
                with trio.fail_after(_PATIENCE_S):
                    await self._ask(client)
                waited_s = trio.current_time() - started_s
                self._findings.worst("answer on the other interface, s", waited_s, _ANSWER_S)
                self._findings.count("answers on the other interface")
                await trio.sleep(_PAUSE_S)

    async def _ask(self, client: Client) -> None:
        if self._interface == INTERFACE_MANAGE:
            await client.status()
        else:
            await sign_new(self._stack, self._findings, client)


async def sign_new(stack: Stack, findings: Findings, client: Client) -> None:
    question = stack.next_question()
    signature = await client.sign(question.place.address, question.payload)
    enter_answer(stack, findings, question, signature)


def enter_answer(stack: Stack, findings: Findings, question: Question, signature: bytes) -> None:
    findings.count("signatures")
    if wrong := stack.ledger.enter(question, signature):
        findings.fail(wrong)


async def connect_patiently(findings: Findings, interface: int = INTERFACE_SIGN) -> Connection:
    """As `tezsign run` does: it tries again while the board says why it can't be used."""
    with trio.fail_after(_PATIENCE_S):
        while True:
            try:
                return await connect_serial(None, interface)
            except DeviceUnavailable as error:
                findings.count(f"tried again: {type(error).__name__}")
                await trio.sleep(_PAUSE_S)
