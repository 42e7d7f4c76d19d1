"""What is asked of each metric, and what of its movement is expected and why. Pure, a table."""

from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

from tests.soak.series import Metric

__all__ = ["RULES", "Kind", "Rule"]

_PAGE_KIB: Final = 4.0


class Kind(Enum):
    """How a metric is judged (verdict.py)."""

    MEMORY = auto()  # the bound of its slope
    COUNT = auto()  # its floor must not rise
    PROGRESS = auto()  # it must rise, without long pauses
    SHOWN = auto()  # not judged: another metric is, or it may be taken back at any time


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """Args:
    expected: what moves it without a leak.
    tolerance: by how much a floor may rise: it is sampled, so it may be missed by one.
    step: the smallest change of a MEMORY metric.
    is_fatal: growth of it fails the run; else it is a warning, for it may be the load's own.
    """

    kind: Kind
    expected: str
    tolerance: float = 1.0
    step: float = _PAGE_KIB
    is_fatal: bool = True


_OBJECTS = (
    "objects are counted by whole slabs of a processor (SLUB), so floors move by a slab or two"
)

RULES: Final[dict[Metric, Rule]] = {
    Metric.RESIDENT_KIB: Rule(
        kind=Kind.MEMORY,
        expected=(
            "in warm-up: code read for the first time, buffers and caches filling to their bounds"
            " (512 KiB of answers on each interface, the log book), arenas of 1 MiB touched page by"
            " page; later: 64 MiB for the time of a key derivation, and on the"
            " host garbage in cycles, which the collector takes in rare full turns"
        ),
    ),
    Metric.ANONYMOUS_KIB: Rule(
        kind=Kind.SHOWN,
        expected="the part of resident memory that is no file's: tells heap from code",
    ),
    Metric.PYTHON_BLOCKS: Rule(
        kind=Kind.SHOWN,
        expected="small objects alive: rises and falls with requests and the collector",
    ),
    Metric.DESCRIPTORS: Rule(kind=Kind.COUNT, expected="one for each open connection"),
    Metric.THREADS: Rule(
        kind=Kind.COUNT,
        expected="trio keeps an idle worker thread for 10 s, and starts one for USB",
    ),
    Metric.TASKS: Rule(kind=Kind.COUNT, expected="one for each request or connection at work"),
    Metric.OPEN_FILES: Rule(
        kind=Kind.COUNT, expected="counted for each processor in steps of 32 or more", tolerance=128
    ),
    Metric.AIO_EVENTS: Rule(kind=Kind.COUNT, expected="fixed when a context is made"),
    Metric.UNIX_SOCKETS: Rule(kind=Kind.COUNT, expected="enabled and ready, and who is connected"),
    Metric.DENTRIES_IN_USE: Rule(
        kind=Kind.SHOWN,
        expected="follows what is open, and what sysfs made for a device on the bus",
    ),
    Metric.DENTRIES: Rule(
        kind=Kind.SHOWN,
        expected="a cache: names looked up, in vain too; freed when memory is short",
    ),
    Metric.KERNEL_MEMORY_KIB: Rule(
        kind=Kind.MEMORY,
        expected="slabs of all sizes fill up page by page; the load's own objects are among them",
        is_fatal=False,
    ),
    Metric.KERNEL_CACHES_KIB: Rule(
        kind=Kind.SHOWN, expected="dentries and inodes; freed when memory is short"
    ),
    Metric.PAGE_TABLES_KIB: Rule(
        kind=Kind.SHOWN, expected="follows the memory of whatever process runs at the moment"
    ),
    Metric.SLAB_FILES: Rule(kind=Kind.COUNT, expected=_OBJECTS, tolerance=64, is_fatal=False),
    Metric.SLAB_AIO_CONTEXTS: Rule(kind=Kind.COUNT, expected=_OBJECTS, tolerance=28),
    Metric.SLAB_EPOLL_ITEMS: Rule(kind=Kind.COUNT, expected=_OBJECTS, tolerance=64, is_fatal=False),
    Metric.SLAB_SOCKETS: Rule(kind=Kind.COUNT, expected=_OBJECTS, tolerance=64, is_fatal=False),
    Metric.SLAB_TASKS: Rule(kind=Kind.COUNT, expected=_OBJECTS, tolerance=16, is_fatal=False),
    Metric.SIGNED: Rule(kind=Kind.PROGRESS, expected="pauses while the cable is out"),
}
