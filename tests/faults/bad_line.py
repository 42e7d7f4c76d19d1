"""Scenario 5: more requests at once than the board takes in, over a line that loses and doubles.

One frame in twenty is lost, one in twenty comes twice, in both directions, while 48 requests at a
time come in one piece and meet a queue of 32. Eight levels of one kind are asked for at once, so a
request that was held up may come after a higher one: then "stale" is its right answer. The board's
log has a line for each time that it handled a signing request.
"""

import random
import re
from collections import Counter
from contextlib import suppress
from functools import partial
from typing import Final

import trio

from broker.messages import ErrorCode
from host.client import Client
from host.connection import open_session
from host.errors import HostError, Refused
from tests.faults.bystander import connect_patiently, enter_answer
from tests.faults.findings import Findings
from tests.faults.ledger import Question, ask_at
from tests.faults.lossy_stream import LossyStream
from tests.faults.stack import Stack
from tests.faults.wait import wait_true

__all__ = ["ask_over_a_bad_line"]

_CHANCE: Final = 0.05
_AT_ONCE: Final = 48
_ANSWER_S: Final = 30.0
_LOGGED_S: Final = 10.0
_TRIES: Final = 4  # so many times the requests, until each fault has happened
# A line of gadget.signature_log, and one of gadget.rpc for a request that it refused.
_SIGNED: Final = re.compile(r": signed (key=\w+ kind=\w+ level=\d+ round=\d+) ")
_REFUSED: Final = re.compile(r": request not done op=sign ")
# The board sends a retry to who was dropped because the queue was full, and to nobody else.
_MUST_HAPPEN: Final = (
    "accept lost",
    "response lost",
    "request doubled",
    "response doubled",
    "retry arrived",
)


async def ask_over_a_bad_line(stack: Stack, findings: Findings, requests: int) -> None:
    log = _BoardLog(stack)
    connection = await connect_patiently(findings)
    stream = LossyStream(connection.stream, random.Random(), _CHANCE)  # noqa: S311
    async with open_session(stream) as session:
        client = Client(session)
        for _ in range(_TRIES * requests // _AT_ONCE):
            await _ask_at_once(stack, findings, client, stream)
            is_enough = findings.counted("requests") >= requests
            if is_enough and all(stream.counts[each] for each in _MUST_HAPPEN):
                break
    for what, number in sorted(stream.counts.items()):
        findings.count(f"frames: {what}", number)
    for what in _MUST_HAPPEN:
        findings.check(stream.counts[what] > 0, f"it never happened: {what}")
    await _check_runs(findings, log)


async def _ask_at_once(
    stack: Stack, findings: Findings, client: Client, stream: LossyStream
) -> None:
    streams = stack.streams()
    asked = [ask_at(next(places)) for _ in range(_AT_ONCE // len(streams)) for places in streams]
    stale: list[Question] = []

    async def ask(question: Question, task_status: trio.TaskStatus[None]) -> None:
        task_status.started()
        asked_s = trio.current_time()
        try:
            with trio.fail_after(_ANSWER_S):
                signature = await client.sign(question.place.address, question.payload)
        except (HostError, trio.TooSlowError) as error:
            if isinstance(error, Refused) and error.code == ErrorCode.STALE_WATERMARK:
                stale.append(question)
                findings.count("refused as stale")
            else:
                findings.fail(f"a request ended with {error!r}")
        else:
            enter_answer(stack, findings, question, signature)
        findings.count("requests")
        findings.worst("longest wait for an answer, s", trio.current_time() - asked_s)

    async with trio.open_nursery() as nursery, stream.stall():
        for question in asked:
            await nursery.start(partial(ask, question))  # in this order
    highest = {(each.place.address, each.place.kind): each for each in stack.ledger.latest()}
    for question in stale:
        above = highest.get((question.place.address, question.place.kind))
        is_right = above is not None and above.place.level > question.place.level
        findings.check(is_right, f"stale, and nothing above it was signed: {question.place}")


class _BoardLog:
    """What the gadget has logged from now on."""

    def __init__(self, stack: Stack) -> None:
        self._board = stack.board
        self._start = len(stack.board.gadget_log())

    def signed(self) -> Counter[str]:
        """How often each place was signed."""
        return Counter(_SIGNED.findall(self._text()))

    def refused(self) -> int:
        return len(_REFUSED.findall(self._text()))

    def _text(self) -> str:
        return self._board.gadget_log()[self._start :]


async def _check_runs(findings: Findings, log: _BoardLog) -> None:
    """As many runs as requests, each of which has had its answer by now."""
    requests = findings.counted("requests")

    def runs() -> int:
        return log.signed().total() + log.refused()

    with suppress(trio.TooSlowError):
        await wait_true(lambda: runs() >= requests, _LOGGED_S)
    for place, times in log.signed().items():
        findings.check(times == 1, f"RAN {times} TIMES: {place}")
    findings.check(runs() == requests, f"{runs()} runs of {requests} requests")
    findings.count("runs on the board", runs())
