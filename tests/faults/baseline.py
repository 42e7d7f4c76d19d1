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
from tests.faults.process_size import measure_process
from tests.faults.wait import wait_true
from tests.soak.observed import read_report
from tests.soak.sampler import Observed, sample_process
from tests.soak.series import Metric

__all__ = ["RESIDENT_PERCENT", "Baseline", "take_baseline", "this_process"]

RESIDENT_PERCENT: Final = 2.0
# A closed connection is seen at the next turn of a loop, and an idle worker thread stays for 10 s.
_SETTLE_S: Final = 20.0
# Longer than from one report of a process on itself to the next (tests.soak.observed).
_REST_S: Final = 0.5

_Counts = Mapping[str, int]


def this_process() -> Observed:
    return Observed(name="host", pid=os.getpid())


async def take_baseline(*processes: Observed) -> "Baseline":
    """Returns it once no count has changed for half a second.

    Raises: trio.TooSlowError.
    """
    counts, since_s = _count_all(processes), trio.current_time()

    def is_at_rest() -> bool:
        nonlocal counts, since_s
        now = _count_all(processes)
        if now != counts:
            counts, since_s = now, trio.current_time()
        return trio.current_time() - since_s >= _REST_S

    await wait_true(is_at_rest, _SETTLE_S)
    return Baseline(processes)


class Baseline:
    """How large these processes are now. Inside trio, which tells the tasks of this process."""

    def __init__(self, processes: tuple[Observed, ...]) -> None:
        self._resident_kib = {each: _resident_kib(each) for each in processes}
        self._counts = _count_all(processes)

    async def check(self, findings: Findings) -> None:
        """Waits some seconds for what is still being taken down."""
        with suppress(trio.TooSlowError):
            await wait_true(lambda: not any(self._left_over()), _SETTLE_S)
        for problem in self._left_over():
            findings.fail(problem)
        for name, grown_percent in self.growth_percent().items():
            findings.worst(f"growth of the {name}, %", grown_percent, RESIDENT_PERCENT)

    def growth_percent(self) -> Mapping[str, float]:
        """Of the resident memory of each process, by its name."""
        return {
            process.name: 100 * (_resident_kib(process) - before_kib) / before_kib
            for process, before_kib in self._resident_kib.items()
        }

    def _left_over(self) -> Iterator[str]:
        for process, before in self._counts.items():
            after = _count(process)
            for what, number in before.items():
                if after[what] > number:
                    told = f"{number} before, {after[what]} afterwards"
                    yield f"{what} of the {process.name}: {told}"


def _count_all(processes: tuple[Observed, ...]) -> Mapping[Observed, _Counts]:
    return {each: _count(each) for each in processes}


def _count(process: Observed) -> _Counts:
    size = measure_process(process.pid)
    counts = {"descriptors": size.descriptors, "threads": size.threads}
    if process.report is not None:
        counts["trio tasks"], _ = read_report(process.report)
    elif process.pid == os.getpid():
        counts["trio tasks"] = trio.lowlevel.current_statistics().tasks_living
    return counts


def _resident_kib(process: Observed) -> float:
    if process.pid == os.getpid():
        gc.collect()  # or garbage in cycles would wait here, megabytes of it
    return dict(sample_process(process))[Metric.RESIDENT_KIB]
