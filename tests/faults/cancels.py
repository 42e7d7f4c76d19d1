"""Scenario 6c: cancelled receives on a real endpoint leave nothing behind and lose nothing.

In this process, on the endpoints of the board, whose daemon has been ended.
"""

import os
from typing import Final

import trio
from trio.testing import wait_all_tasks_blocked

from broker.contract import INTERFACE_SIGN, VENDOR_ID
from gadget.endpoints import OutEndpoint, open_out
from tests.faults.baseline import take_baseline, this_process
from tests.faults.findings import Findings
from tests.faults.stack import Stack
from tests.kernel.usbfs import UsbHost, find_device

__all__ = ["cancel_receives"]

_WARM_UP: Final = 1000
_DATA_EACH: Final = 500  # so many cancels, then data must come through


async def cancel_receives(stack: Stack, findings: Findings, cancels: int) -> None:
    await trio.to_thread.run_sync(stack.board.end_gadget)
    endpoint = open_out(stack.board.assets.functionfs / "ep2")
    host = UsbHost(find_device(VENDOR_ID), interface=INTERFACE_SIGN)
    try:
        await _cancel_many(endpoint, host, findings, _WARM_UP)
        baseline = await take_baseline(this_process())
        await _cancel_many(endpoint, host, findings, cancels)
        await baseline.check(findings)
    finally:
        host.close()
        await endpoint.aclose()


async def _cancel_many(
    endpoint: OutEndpoint, host: UsbHost, findings: Findings, cancels: int
) -> None:
    for number in range(cancels):
        if number % 10 == 0:
            await _cancel_from_outside(endpoint)
        else:
            with trio.move_on_after(0):
                await endpoint.receive()
        findings.count("cancelled receives")
        if number % _DATA_EACH == 0:
            data = os.urandom(100)
            await trio.to_thread.run_sync(host.write, data)
            findings.check(await endpoint.receive() == data, "bytes were lost by a cancel")
            findings.count("transfers received between")


async def _cancel_from_outside(endpoint: OutEndpoint) -> None:
    """While it waits, by another task."""
    async with trio.open_nursery() as nursery:
        nursery.start_soon(endpoint.receive)
        await wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
