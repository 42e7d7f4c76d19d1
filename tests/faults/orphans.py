"""Scenario 2d: host processes are killed in mid-transfer, and the next one takes over at once."""

import contextlib
import os
import random
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

import trio

from host.client import Client
from host.connection import open_session
from tests.faults.bystander import connect_patiently, enter_answer, sign_new
from tests.faults.findings import Findings
from tests.faults.ledger import Place, Question
from tests.faults.stack import Stack

__all__ = ["kill_hosts"]

_TAKEN_OVER_S: Final = 1.0
_LIVES_S: Final = 0.5
_TRIES: Final = 4  # so many victims for each one that is hit in mid-transfer


@dataclass
class _Told:
    """What a victim said before it died."""

    is_sending: bool = False
    asked: Question | None = None
    signed: list[tuple[Question, bytes]] = field(default_factory=list)

    def hear(self, words: list[str], address: str) -> None:
        match words:
            case ["sending"]:
                self.is_sending = True
            case ["sent"]:
                self.is_sending = False
            case ["asks", level, payload]:
                place = Place(address=address, kind="attestation", level=int(level))
                self.asked = Question(place=place, payload=bytes.fromhex(payload))
            case ["got", signature]:
                assert self.asked is not None
                self.signed.append((self.asked, bytes.fromhex(signature)))
                self.asked = None


async def kill_hosts(stack: Stack, findings: Findings, kills: int) -> None:
    """Until so many were hit in the middle of a transfer."""
    with _victims() as server:
        for _ in range(_TRIES * kills):
            told = await trio.to_thread.run_sync(_kill_one, server, stack)
            findings.count("host processes killed")
            if told.is_sending:
                findings.count("of these in mid-transfer")
            for question, signature in told.signed:
                enter_answer(stack, findings, question, signature)
            await _take_over(stack, findings, told.asked)
            if findings.counted("of these in mid-transfer") == kills:
                return
    findings.fail(f"only {findings.counted('of these in mid-transfer')} hit in mid-transfer")


@contextlib.contextmanager
def _victims() -> "Iterator[subprocess.Popen[str]]":
    command = [sys.executable, "-m", "tests.faults.victim"]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as server:
        try:
            yield server
        finally:
            server.kill()


def _kill_one(server: "subprocess.Popen[str]", stack: Stack) -> _Told:
    """Lets one live for a random time after its session is open, and hears all that it said."""
    assert server.stdin is not None
    assert server.stdout is not None
    question = stack.next_question()
    address = question.place.address
    server.stdin.write(f"{address} {question.place.level}\n")
    server.stdin.flush()
    told = _Told()
    pid = 0
    for line in server.stdout:
        match line.split():
            case ["pid", number]:
                pid = int(number)
            case ["open"]:
                delay_s = random.uniform(0, _LIVES_S)  # noqa: S311 - any moment of its life
                threading.Timer(delay_s, os.kill, (pid, signal.SIGKILL)).start()
            case ["dead"]:
                return told
            case words:
                told.hear(words, address)
    raise AssertionError("the process that starts the victims has ended")


async def _take_over(stack: Stack, findings: Findings, left: Question | None) -> None:
    """What the victim was not answered is asked again, then something new."""
    killed_s = trio.current_time()
    connection = await connect_patiently(findings)
    async with open_session(connection.stream) as session:
        client = Client(session)
        if left is not None:
            signature = await client.sign(left.place.address, left.payload)
            enter_answer(stack, findings, left, signature)
        await sign_new(stack, findings, client)
        taken_s = trio.current_time() - killed_s
        findings.worst("killed to the next host's signature, s", taken_s, _TAKEN_OVER_S)
        findings.count("stale frames ignored", session._peer.counters().unknown_answers)
