"""Boots the lab with a fresh disk for /data and runs the measurements in it, by two clocks.

By counted instructions, the figures don't depend on the machine or on what else it does. By the
clock on the wall they contain what emulation makes of it: two emulated processors that wake each
other, and caches of translated code that are emptied at each change of process. With one processor
the latter costs more still.
"""

import os
import sys
import tempfile
from pathlib import Path

from tests.process.child import Child

__all__ = ["main"]

_DISK_BYTES = 64 * 1024 * 1024
_CLOCKS = {
    "By counted instructions, 1 ns each, one processor": ["--count-instructions"],
    "By the clock on the wall, two emulated processors": ["--processors", "2"],
}


def main() -> int:
    """Returns the first exit status of the lab that is not 0."""
    os.chdir(Path(__file__).resolve().parent.parent.parent)
    return next((status for status in map(_measure, _CLOCKS) if status), 0)


def _measure(title: str) -> int:
    with tempfile.TemporaryDirectory() as folder:
        disk = Path(folder) / "data.img"
        with disk.open("wb") as file:
            file.truncate(_DISK_BYTES)
        lab = [sys.executable, "-m", "tests.lab", "--disk", str(disk), "--timeout", "1500"]
        guest = ["--", sys.executable, "-m", "tests.bench.guest", title]
        with Child([*lab, *_CLOCKS[title], *guest]) as running:
            return running.wait()


if __name__ == "__main__":
    sys.exit(main())
