"""Scenarios side by side: a guest is emulated on one processor, and most machines have another.

Owns the processes that the scenarios start, so that whoever interrupts the run leaves none of them.
"""

import os
import threading
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final, TypeVar

from tests.lab.plan import PROJECT
from tests.process.child import Child

__all__ = ["LANES", "run_side_by_side", "run_to_file"]

# More would disturb each other: the lab's time limits, and those of the scenarios, are for two.
LANES: Final = min(2, os.cpu_count() or 1)

T = TypeVar("T")

_running: set[Child] = set()
_lock = threading.Lock()
_is_over = threading.Event()


def run_side_by_side(act: Callable[[T], None], items: Iterable[T], lanes: int) -> None:
    """Calls `act` with each, in threads; an interruption or a failure ends everything."""
    _is_over.clear()
    with ThreadPoolExecutor(lanes) as pool:
        futures = [pool.submit(act, item) for item in items]
        try:
            for future in futures:
                future.result()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            _end_all()
            raise


def run_to_file(command: Sequence[str | Path], log: Path, limit_s: float) -> int:
    """Runs it in the project's folder and returns its exit status; what it says goes to the file.

    Raises:
        subprocess.TimeoutExpired: it was told to end, and killed.
    """
    with log.open("wb") as output, _start(command, output.fileno()) as child:
        try:
            return child.wait(limit_s)
        finally:
            _running.discard(child)


def _start(command: Sequence[str | Path], output: int) -> Child:
    with _lock:
        if _is_over.is_set():
            raise InterruptedError("the run was interrupted")
        child = Child(command, folder=PROJECT, stdout=output, stderr=output)
        _running.add(child)
        return child


def _end_all() -> None:
    with _lock:
        _is_over.set()
    for child in list(_running):
        child.end()
