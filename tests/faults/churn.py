"""Scenarios 6a and 6b: who connects and goes again, thousands of times, leaves nothing behind.

6a is at the board's two local sockets, where the registrar and the gadget sit on either side; 6b is
a host that opens a session and ends it. The gadget runs with one task more, which tells how many
there are.
"""

import socket
import sys
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

import trio

from broker.contract import INTERFACE_MANAGE, INTERFACE_SIGN
from host.client import Client
from host.connection import open_session
from registrar.sockets import connect_local
from tests.faults.baseline import Baseline, take_baseline, this_process
from tests.faults.bystander import connect_patiently, sign_new
from tests.faults.findings import Findings
from tests.faults.stack import Stack
from tests.faults.wait import wait_true
from tests.soak.sampler import Observed

__all__ = ["COMMAND", "churn_sessions", "churn_sockets"]

_REPORT: Final = Path("/tmp/tezsign-gadget-report")  # noqa: S108 - the guest's own
COMMAND: Final = (sys.executable, "-m", "tests.soak.observed", str(_REPORT), "gadget")
_INTERFACES: Final = (INTERFACE_SIGN, INTERFACE_MANAGE)
_WARM_UP: Final = 0.1  # of what is done, and so much more at least, in each round
_WARM_UP_LEAST: Final = 20
_WARM_UP_ROUNDS: Final = 5
_WARM_PERCENT: Final = 0.5
_FULL_BACKLOG_S: Final = 0.0005
_PATIENCE_S: Final = 10.0
_READY_S: Final = 1.0


async def churn_sockets(stack: Stack, findings: Findings, times: int) -> None:
    """So many on each socket. The gadget's own connection to the registrar has to outlive all."""
    paths = (stack.board.registrar.enabled_socket, stack.board.registrar.ready_socket)

    async def connect(count: int) -> None:
        for path in paths:
            await trio.to_thread.run_sync(_connect_and_leave, path, count)
            findings.count(f"connects to {path.name}", count)
            left_s = trio.current_time()
            ready_s = await wait_true(stack.board.is_ready)
            findings.worst("until ready again, s", ready_s - left_s, _READY_S)

    before = stack.board.gadget_log().count("session ends")
    await _compare(stack, findings, times, connect)  # no host takes part
    ended = stack.board.gadget_log().count("session ends") - before
    findings.check(ended == 0, f"{ended} sessions of the gadget ended meanwhile")
    await _sign(stack, findings)


def _connect_and_leave(path: Path, times: int) -> None:
    """Each stays until the next one is there; some leave without a word, some say something."""
    last: socket.socket | None = None
    for number in range(times):
        connection = _connect(path)
        if last is not None:
            if number % 3 == 0:
                with suppress(OSError):  # it may have been put out already
                    last.send(b"\x00who are you\x00")
            last.close()
        last = connection
    if last is not None:
        last.close()


def _connect(path: Path) -> socket.socket:
    """Its backlog is short: whoever comes faster than it is served has to wait."""
    give_up_s = time.monotonic() + _PATIENCE_S
    while True:
        try:
            return connect_local(path)
        except BlockingIOError:
            if time.monotonic() > give_up_s:
                raise
            time.sleep(_FULL_BACKLOG_S)


async def churn_sessions(stack: Stack, findings: Findings, times: int) -> None:
    """On one interface after the other, each time until the board has answered."""

    async def open_many(count: int) -> None:
        for number in range(count):
            interface = _INTERFACES[number % len(_INTERFACES)]
            connection = await connect_patiently(findings, interface)
            async with open_session(connection.stream) as session:
                await Client(session).version()
            findings.count("sessions")

    await _compare(stack, findings, times, open_many, this_process())
    await _sign(stack, findings)


async def _compare(
    stack: Stack,
    findings: Findings,
    times: int,
    act: Callable[[int], Awaitable[None]],
    *others: Observed,
) -> None:
    assert stack.board.gadget is not None
    processes = (
        Observed(name="gadget", pid=stack.board.gadget.pid, report=_REPORT),
        Observed(name="registrar", pid=stack.board.registrar.process.pid),
        *others,
    )
    baseline = await _warm_up(processes, times, act)
    await act(times)
    await baseline.check(findings)


async def _warm_up(
    processes: tuple[Observed, ...], times: int, act: Callable[[int], Awaitable[None]]
) -> Baseline:
    """Returns once a round has made nobody larger: what is filled once is full then. Who grows at
    each round is not waited for, but measured."""
    baseline = await take_baseline(*processes)
    for _ in range(_WARM_UP_ROUNDS):
        await act(_WARM_UP_LEAST + int(_WARM_UP * times))
        growth = baseline.growth_percent()
        baseline = await take_baseline(*processes)
        if max(growth.values()) < _WARM_PERCENT:
            break
    return baseline


async def _sign(stack: Stack, findings: Findings) -> None:
    connection = await connect_patiently(findings)
    async with open_session(connection.stream) as session:
        await sign_new(stack, findings, Client(session))
