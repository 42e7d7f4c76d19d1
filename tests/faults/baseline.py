"""What processes hold before and after something was done thousands of times.

Take one after a warm-up and `check` at the end, both in a moment of rest. Counts have to be back
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

__all__ = ["RESIDENT_PERCENT", "Baseline", "take_baseline", "this_process"]

RESIDENT_PERCENT: Final = 2.0
_COUNTS: Final = (Metric.DESCRIPTORS, Metric.THREADS, Metric.TASKS)
# A closed connection is seen at the next turn of a loop, and an idle worker thread stays for 10 s.
_SETTLE_S: Final = 20.0
# Longer than from one report of a process on itself to the next (tests.soak.observed).
_REST_S: Final = 1.0

Sizes = Mapping[Metric, float]


def this_process() -> Observed:
    return Observed(name="host", pid=os.getpid())


async def take_baseline(*processes: Observed) -> "Baseline":
    """Returns it once no count has changed for a second.

    Raises: trio.TooSlowError.
    """
    baseline, taken_s = Baseline(*processes), trio.current_time()

    def is_at_rest() -> bool:
        nonlocal baseline, taken_s
        now = Baseline(*processes)
        if not now.has_counts_of(baseline):
            baseline, taken_s = now, trio.current_time()
        return trio.current_time() - taken_s >= _REST_S

    await wait_true(is_at_rest, _SETTLE_S)
    return Baseline(*processes)


class Baseline:
    """How large these processes are now. Inside trio, which tells the tasks of this process."""

    def __init__(self, *processes: Observed) -> None:
        self._before = {each: _measure(each) for each in processes}

    def has_counts_of(self, other: "Baseline") -> bool:
        return all(
            sizes.get(metric) == other._before[process].get(metric)
            for process, sizes in self._before.items()
            for metric in _COUNTS
        )

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
