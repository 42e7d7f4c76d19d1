"""Makes a recording: formats a disk, boots the lab on it, and lets the workload run there."""

import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from subprocess import run
from typing import Final

from tests.crash.nbd import serve_disk
from tests.crash.recording import DISK_BYTES, FILE_SYSTEM_BYTES, Recorder, Recording
from tests.lab.api import run_in_lab

__all__ = ["Setup", "record"]

SYSTEM_PROGRAMS: Final = "/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """One run to record.

    Args:
        journals_data: data=journal, as on the image; else ext4's own default, data=ordered.
        mutant: see `mutants`.
    """

    seed: int
    steps: int
    block_bytes: int
    journals_data: bool
    journal_mb: int = 4
    mutant: str | None = None

    @property
    def name(self) -> str:
        mode = "journal" if self.journals_data else "ordered"
        words = (mode, f"{self.block_bytes}", f"j{self.journal_mb}", f"s{self.seed}", self.mutant)
        return "-".join(word for word in words if word)


def record(setup: Setup) -> Recording:
    """Raises: RuntimeError: the workload or the lab failed."""
    with tempfile.TemporaryDirectory() as folder:
        base = _format(Path(folder) / "disk", setup)
        recorder = Recorder()
        socket = Path(folder) / "nbd"
        with serve_disk(socket, bytearray(base), recorder):
            words = [sys.executable, "-m", "tests.crash.workload", "/data/store", "/dev/vda"]
            words += [str(setup.seed), str(setup.steps), *([setup.mutant] if setup.mutant else [])]
            # Two processors: what is answered before its write has returned shows beside the write.
            done = run_in_lab(words, disk=socket, timeout_s=60 + setup.steps, processors=2)
    if done.returncode != 0:
        raise RuntimeError(f"{setup.name}: the workload failed\n{done.stdout}{done.stderr}")
    return Recording(
        name=setup.name, base=base[:FILE_SYSTEM_BYTES], entries=tuple(recorder.entries)
    )


def _format(disk: Path, setup: Setup) -> bytes:
    with disk.open("wb") as file:
        file.truncate(DISK_BYTES)
    # Nothing is left for later: what the kernel would write lazily is no news of the store's.
    extended = "lazy_itable_init=0,lazy_journal_init=0"
    _run(
        *("mke2fs", "-q", "-F", "-t", "ext4", "-b", f"{setup.block_bytes}", "-E", extended),
        *("-J", f"size={setup.journal_mb}", str(disk), f"{FILE_SYSTEM_BYTES // 1024}k"),
    )
    if setup.journals_data:
        _run("tune2fs", "-o", "journal_data", str(disk))
    return disk.read_bytes()


def _run(*words: str) -> None:
    run(words, check=True, capture_output=True, env={"PATH": SYSTEM_PROGRAMS})
