"""What the file system and the card of the data folder tell. I/O, no writes; no wait but statvfs.

The kernel counts the errors of ext4; the wear of its blocks only an eMMC tells (the SD cards that
most boards boot from tell nothing). Source: fs/ext4/sysfs.c (errors_count) and
drivers/mmc/core/mmc.c (life_time) of Linux; JESD84-B51, EXT_CSD bytes 268 and 269.
"""

import os
from pathlib import Path
from typing import Final

from gadget.health.figures import StorageFigures

__all__ = ["read_storage"]

_SYS: Final = Path("/sys")
_LIFE_STEP_PERCENT: Final = 10


def read_storage(folder: Path, sys: Path = _SYS) -> StorageFigures:
    """Never raises: that it can't be read is what it tells then."""
    try:
        space = os.statvfs(folder)
        device = _device(folder, sys)
    except OSError as error:
        return StorageFigures(
            total_bytes=0,
            free_bytes=0,
            read_only=False,
            write_errors=None,
            erase_wear_percent=None,
            problem=f"the data folder can't be looked at: {error.strerror}",
        )
    return StorageFigures(
        total_bytes=space.f_blocks * space.f_frsize,
        free_bytes=space.f_bavail * space.f_frsize,
        read_only=bool(space.f_flag & os.ST_RDONLY),
        write_errors=None if device is None else _read_number(_errors_file(device, sys)),
        erase_wear_percent=None if device is None else _wear_percent(device),
        problem="",
    )


def _device(folder: Path, sys: Path) -> Path | None:
    """Returns the block device's folder in sysfs; None where the file system has none."""
    number = folder.stat().st_dev
    link = sys / "dev" / "block" / f"{os.major(number)}:{os.minor(number)}"
    return link.resolve() if link.exists() else None


def _errors_file(device: Path, sys: Path) -> Path:
    return sys / "fs" / "ext4" / device.name / "errors_count"


def _wear_percent(device: Path) -> int | None:
    """An eMMC tells in steps of ten percent, for two kinds of its cells: the worse counts."""
    for place in (device, device.parent):  # of a partition, or of the whole device
        steps = _read_words(place / "device" / "life_time")
        if steps:
            worst = max(steps)
            return min(worst * _LIFE_STEP_PERCENT, 100) if worst else None  # 0: not told
    return None


def _read_number(file: Path) -> int | None:
    words = _read_words(file)
    return words[0] if words else None


def _read_words(file: Path) -> list[int]:
    try:
        return [int(word, 0) for word in file.read_text().split()]
    except (OSError, ValueError):
        return []
