"""When a process is killed: idle, or in a phase of a request that `mortal_gadget` hits.

Orders the kill and says whether it has happened; the evidence that the phase was the one meant is
the caller's to look for.
"""

import os
import signal
from typing import Final

from tests.faults.mortal_gadget import PHASES, write_order
from tests.faults.stack import Stack
from tests.faults.wait import wait_true
from tests.process.child import Child

__all__ = ["ALL_PHASES", "IDLE", "order_kill", "wait_killed"]

IDLE: Final = "idle"
ALL_PHASES: Final = (IDLE, *PHASES)


async def order_kill(stack: Stack, phase: str, victim: Child) -> None:
    """At once where the phase is idle; else the next request that gets so far is the moment."""
    gadget = stack.board.gadget
    assert gadget is not None
    if phase == IDLE:
        os.kill(victim.pid, signal.SIGKILL)
        return
    order = write_order(stack.board.assets.run_folder, phase, victim.pid)
    os.kill(gadget.pid, signal.SIGUSR1)
    await wait_true(lambda: not order.exists())


async def wait_killed(victim: Child) -> None:
    """Raises: AssertionError where it has ended otherwise; trio.TooSlowError."""
    await wait_true(lambda: victim.poll() is not None)
    assert victim.returncode == -signal.SIGKILL, f"it ended with {victim.returncode}, not killed"
