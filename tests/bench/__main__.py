"""Boots the lab with a fresh disk for /data and runs the measurements in it."""

import os
import sys
import tempfile
from pathlib import Path

from tests.process.child import Child

__all__ = ["main"]

_DISK_BYTES = 64 * 1024 * 1024


def main() -> int:
    """Returns the exit status of the lab."""
    os.chdir(Path(__file__).resolve().parent.parent.parent)
    with tempfile.TemporaryDirectory() as folder:
        disk = Path(folder) / "data.img"
        with disk.open("wb") as file:
            file.truncate(_DISK_BYTES)
        lab = [sys.executable, "-m", "tests.lab", "--disk", str(disk), "--timeout", "1500", "--"]
        with Child([*lab, sys.executable, "-m", "tests.bench.guest"]) as running:
            return running.wait()


if __name__ == "__main__":
    sys.exit(main())
