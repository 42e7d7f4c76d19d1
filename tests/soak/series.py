"""What is measured, by name, and the record of a run: samples in the order in which they were
taken. Pure.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

__all__ = ["HOST", "KERNEL", "LOAD", "Metric", "Run", "Sample", "decode_run", "encode_sample"]

HOST: Final = "tezsign run"
KERNEL: Final = "kernel"
LOAD: Final = "load"
"""The last two stand where a process stands: what belongs to the machine, and what was done."""


class Metric(StrEnum):
    """Names in the record; their unit is the last word, or they are counts."""

    RESIDENT_KIB = "resident, KiB"
    ANONYMOUS_KIB = "anonymous, KiB"
    DESCRIPTORS = "descriptors"
    THREADS = "threads"
    TASKS = "trio tasks"
    PYTHON_BLOCKS = "python blocks"
    OPEN_FILES = "open files"
    AIO_EVENTS = "aio events"
    UNIX_SOCKETS = "unix sockets"
    DENTRIES = "dentries"
    DENTRIES_IN_USE = "dentries in use"
    KERNEL_MEMORY_KIB = "slab memory, KiB"
    KERNEL_CACHES_KIB = "slab caches, KiB"
    PAGE_TABLES_KIB = "page tables, KiB"
    SLAB_FILES = "slab filp"
    SLAB_AIO_CONTEXTS = "slab kioctx"
    SLAB_EPOLL_ITEMS = "slab eventpoll_epi"
    SLAB_SOCKETS = "slab sock_inode_cache"
    SLAB_TASKS = "slab task_struct"
    SIGNED = "signatures"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """Everything at one moment; `at_s` counts from the start of the load."""

    at_s: float
    values: Mapping[str, Mapping[Metric, float]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What a soak has seen, and what the load counted: signatures, sessions, junk, failures."""

    samples: tuple[Sample, ...]
    counts: Mapping[str, int]

    @property
    def length_s(self) -> float:
        return self.samples[-1].at_s

    def names(self) -> Iterator[tuple[str, Metric]]:
        """Each process with each of its metrics."""
        for process, values in self.samples[0].values.items():
            yield from ((process, Metric(name)) for name in values)

    def series(self, process: str, metric: Metric) -> list[tuple[float, float]]:
        """(seconds, value) of one metric."""
        return [(sample.at_s, sample.values[process][metric]) for sample in self.samples]


def encode_sample(sample: Sample) -> str:
    return json.dumps({"at_s": round(sample.at_s, 3), "values": sample.values})


def decode_run(samples: str, counts: str) -> Run:
    """One sample in each line, and the counts as they were at the end."""
    taken = tuple(Sample(**json.loads(line)) for line in samples.splitlines())
    return Run(samples=taken, counts=json.loads(counts))
