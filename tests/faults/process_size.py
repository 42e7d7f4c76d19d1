"""What a process takes, as the kernel counts it."""

from dataclasses import dataclass
from pathlib import Path

__all__ = ["ProcessSize", "measure_process"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessSize:
    resident_kb: int
    descriptors: int
    threads: int


def measure_process(pid: int) -> ProcessSize:
    """Raises: OSError where it has ended."""
    process = Path("/proc") / str(pid)
    lines = (process / "status").read_text().splitlines()
    status = dict(line.split(":", 1) for line in lines)
    return ProcessSize(
        resident_kb=int(status["VmRSS"].split()[0]),
        descriptors=len(list((process / "fd").iterdir())),
        threads=int(status["Threads"]),
    )
