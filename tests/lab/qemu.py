"""Starts QEMU so that it can't stay behind, and ends it.

It has its own session (the terminal's Ctrl-C is the lab's to handle), no terminal at all, and
the kernel kills it when the lab dies, however that happens.
"""

import contextlib
import ctypes
import os
import signal
from collections.abc import Iterator, Sequence
from pathlib import Path

from tests.process.child import Child

__all__ = ["run_qemu"]

_PR_SET_PDEATHSIG = 1  # linux/prctl.h


@contextlib.contextmanager
def run_qemu(
    command: Sequence[str], *, log: Path, inherited: Sequence[int] = ()
) -> Iterator[Child]:
    """Runs QEMU for the time of the block.

    Args: log: gets what QEMU itself has to say; inherited: descriptors that it may use.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    lab = os.getpid()

    def die_with_lab() -> None:
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != lab:
            os._exit(1)

    with log.open("wb") as output:
        qemu = Child(
            command,
            stdout=output,
            stderr=output,
            inherited=inherited,
            before_exec=die_with_lab,  # the lab has no threads
        )
    try:
        yield qemu
    finally:
        qemu.end(signal.SIGKILL)
