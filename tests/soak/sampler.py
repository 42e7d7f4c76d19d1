"""What the processes and the kernel hold at one moment, read from /proc. Inside the lab, as root.

Resident memory comes from smaps_rollup, which counts pages: VmRSS of `status` is kept per thread
and off by up to 64 pages for each (mm/memory.c, SPLIT_RSS_COUNTING; Linux 6.1).
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.soak.observed import read_report
from tests.soak.series import KERNEL, LOAD, Metric

__all__ = ["Observed", "sample", "sample_process"]

_PROC: Final = Path("/proc")
# Kernel objects that a signer's work makes and must give back: files, sockets, polling, AIO. A
# kernel may merge a cache with others of its size, which then has no line of its own.
_SLABS: Final = {
    "filp": Metric.SLAB_FILES,
    "kioctx": Metric.SLAB_AIO_CONTEXTS,
    "eventpoll_epi": Metric.SLAB_EPOLL_ITEMS,
    "sock_inode_cache": Metric.SLAB_SOCKETS,
    "task_struct": Metric.SLAB_TASKS,
}
_MEMINFO: Final = {
    "SUnreclaim": Metric.KERNEL_MEMORY_KIB,
    "SReclaimable": Metric.KERNEL_CACHES_KIB,
    "PageTables": Metric.PAGE_TABLES_KIB,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Observed:
    """One process that is looked at.

    Args:
        report: where `tests.soak.observed` writes; None for a process without trio.
    """

    name: str
    pid: int
    report: Path | None = None


def sample_process(observed: Observed) -> Iterator[tuple[Metric, float]]:
    """Raises: OSError where the process has ended."""
    folder = _PROC / str(observed.pid)
    rollup = _read_fields(folder / "smaps_rollup")
    yield Metric.RESIDENT_KIB, rollup["Rss"]
    yield Metric.ANONYMOUS_KIB, rollup["Anonymous"]
    yield Metric.DESCRIPTORS, sum(1 for _ in (folder / "fd").iterdir())
    yield Metric.THREADS, _read_fields(folder / "status")["Threads"]
    if observed.report is not None:
        tasks, blocks = read_report(observed.report)
        yield Metric.TASKS, tasks
        yield Metric.PYTHON_BLOCKS, blocks


def sample_kernel() -> Iterator[tuple[Metric, float]]:
    """The whole machine: what is on it is what is looked at."""
    system = _PROC / "sys" / "fs"
    yield Metric.OPEN_FILES, float((system / "file-nr").read_text().split()[0])
    yield Metric.AIO_EVENTS, float((system / "aio-nr").read_text())
    used, unused = (system / "dentry-state").read_text().split()[:2]
    yield Metric.DENTRIES_IN_USE, float(used) - float(unused)
    yield Metric.DENTRIES, float(used)
    unix = (_PROC / "net" / "unix").read_text()
    yield Metric.UNIX_SOCKETS, unix.count("\n") - 1
    memory = _read_fields(_PROC / "meminfo")
    for field, metric in _MEMINFO.items():
        yield metric, memory[field]
    slabs = {line[0]: line for line in map(str.split, _read_slabinfo())}
    for name in _SLABS.keys() & slabs.keys():
        yield _SLABS[name], float(slabs[name][1])


def sample(processes: tuple[Observed, ...], signed: int) -> Mapping[str, Mapping[Metric, float]]:
    """One sample of everything: by process (kernel and load stand beside them), then by metric."""
    taken = {each.name: dict(sample_process(each)) for each in processes}
    return taken | {KERNEL: dict(sample_kernel()), LOAD: {Metric.SIGNED: float(signed)}}


def _read_fields(file: Path) -> dict[str, float]:
    """Lines of "Name: number kB"; other lines are left out."""
    found = re.findall(r"^(\w+):\s+(\d+)", file.read_text(), re.MULTILINE)
    return {name: float(number) for name, number in found}


def _read_slabinfo() -> list[str]:
    return (_PROC / "slabinfo").read_text().splitlines()
