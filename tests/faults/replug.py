"""Scenario 1: the controller is unbound and bound again and again while the host asks for
signatures."""

import random
from typing import Final

import trio

from tests.faults.findings import Findings
from tests.faults.load import Load
from tests.faults.stack import Stack, open_session
from tests.faults.wait import wait_true

__all__ = ["replug_under_load"]

_FIRST_SIGNATURE_S: Final = 1.0


async def replug_under_load(stack: Stack, findings: Findings, cycles: int) -> None:
    async with open_session() as session, trio.open_nursery() as nursery:
        load = Load(session.client, stack.ledger, findings)
        for places in stack.streams():
            nursery.start_soon(load.run, places)
        for _ in range(cycles):
            await load.wait_new(trio.current_time())
            await trio.sleep(random.uniform(0, 0.1))  # noqa: S311 - any moment of a request
            await _replug(stack, findings, load)
            findings.count("unbind/bind cycles")
        nursery.cancel_scope.cancel()
    findings.check(session.counters().lost >= cycles, f"sessions lost: {session.counters()}")


async def _replug(stack: Stack, findings: Findings, load: Load) -> None:
    await trio.to_thread.run_sync(stack.unbind)
    await trio.sleep(random.uniform(0, 0.1))  # noqa: S311 - longer or shorter away
    await trio.to_thread.run_sync(stack.bind)
    await wait_true(lambda: not stack.is_enabled)  # until the reset it looks as before
    enabled_s = await wait_true(lambda: stack.is_enabled)
    signed_s = await load.wait_new(enabled_s)
    findings.worst("ENABLE to the first new signature, s", signed_s - enabled_s, _FIRST_SIGNATURE_S)
