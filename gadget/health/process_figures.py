"""What Linux says of this process. I/O on /proc only, a millisecond at most; never waits.

Source: proc(5). A process that is not dumpable may still read its own.
"""

import resource
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

__all__ = ["ProcessFigures", "read_process"]

_STATUS: Final = Path("/proc/self/status")
_DESCRIPTORS: Final = Path("/proc/self/fd")
_FIELDS: Final = ("VmRSS", "RssAnon", "VmHWM", "VmStk", "Threads")


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessFigures:
    """`heap_bytes`: anonymous memory, which is what a leak would grow."""

    rss_bytes: int
    heap_bytes: int
    peak_bytes: int
    main_stack_bytes: int
    threads: int
    descriptors: int
    descriptors_max: int
    cpu_seconds: float


def read_process() -> ProcessFigures:
    """Raises: OSError: no /proc, or no descriptor left to read it with."""
    fields = dict.fromkeys(_FIELDS, 0)
    for line in _STATUS.read_text().splitlines():
        name, _, value = line.partition(":")
        if name in fields:
            number = int(value.split()[0])
            fields[name] = number if name == "Threads" else number * 1024  # else in kB
    return ProcessFigures(
        rss_bytes=fields["VmRSS"],
        heap_bytes=fields["RssAnon"],
        peak_bytes=fields["VmHWM"],
        main_stack_bytes=fields["VmStk"],
        threads=fields["Threads"],
        descriptors=sum(1 for _ in _DESCRIPTORS.iterdir()) - 1,  # one is the listing's own
        descriptors_max=resource.getrlimit(resource.RLIMIT_NOFILE)[0],
        cpu_seconds=round(time.process_time(), 2),
    )
