"""What processes hold before and after something was done thousands of times.

Take one after a warm-up, in a moment of rest, and `check` in the next one. Counts have to be back
where they were, resident memory within two per cent.
"""

import gc
import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Final

import trio

from tests.faults.findings import Findings
from tests.faults.wait import wait_true
from tests.soak.sampler import Observed, sample_process
from tests.soak.series import Metric

__all__ = ["RESIDENT_PERCENT", "Baseline", "this_process"]

RESIDENT_PERCENT: Final = 2.0
_COUNTS: Final = (Metric.DESCRIPTORS, Metric.THREADS, Metric.TASKS)
# A closed connection is seen at the next turn of a loop, and an idle worker thread stays for 10 s.
_SETTLE_S: Final = 20.0

Sizes = Mapping[Metric, float]


def this_process() -> Observed:
    return Observed(name="host", pid=os.getpid())


class Baseline:
    """How large these processes are now. Inside trio, which tells the tasks of this process."""

    def __init__(self, *processes: Observed) -> None:
        self._before = {each: _measure(each) for each in processes}

    async def check(self, findings: Findings) -> None:
        """Waits some seconds for what is still being taken down."""
        with suppress(trio.TooSlowError):
            await wait_true(lambda: not any(self._left_over()), _SETTLE_S)
        for problem in self._left_over():
            findings.fail(problem)
        for process, before in self._before.items():
            after = _measure(process)
            resident_kib = before[Metric.RESIDENT_KIB]
            grown = 100 * (after[Metric.RESIDENT_KIB] - resident_kib) / resident_kib
            findings.worst(f"growth of the {process.name}, %", grown, RESIDENT_PERCENT)

    def _left_over(self) -> Iterator[str]:
        for process, before in self._before.items():
            after = _measure(process)
            for metric in _COUNTS:
                if metric in before and after[metric] > before[metric]:
                    numbers = f"{before[metric]:.0f} before, {after[metric]:.0f} afterwards"
                    yield f"{metric} of the {process.name}: {numbers}"


def _measure(process: Observed) -> Sizes:
    is_this = process.pid == os.getpid()
    if is_this:
        gc.collect()  # or garbage in cycles would wait here, megabytes of it
    sizes = dict(sample_process(process))
    if is_this:
        sizes[Metric.TASKS] = trio.lowlevel.current_statistics().tasks_living
    return sizes
