"""Asks the kernel whether a file system commits data whole and in order (ext4, data=journal).

Reads /sys and /proc once, at start; anything unknown means "no", which costs a second sync for
each signature and nothing else. Called by `gadget.keychain.disk`.

Source: with data=journal each write joins the running transaction and notes its number in the
inode (fs/ext4/inode.c, `ext4_journalled_write_end`, i_datasync_tid); fdatasync waits for the commit
of that number (fs/ext4/fsync.c), fast commits are ruled out (fs/ext4/fast_commit.c, "Data
journalling"), and jbd2 commits in order. So a sync of the file written last carries the others.
"""

import os
from pathlib import Path
from typing import Final

__all__ = ["find_journals_data"]

_SYS: Final = Path("/sys")
_PROC: Final = Path("/proc")


def find_journals_data(device: int, *, sys: Path = _SYS, proc: Path = _PROC) -> bool:
    """Args: device: `st_dev` of a file on that file system."""
    link = sys / "dev/block" / f"{os.major(device)}:{os.minor(device)}"
    try:
        name = link.resolve(strict=True).name
        options = (proc / "fs/ext4" / name / "options").read_text()
    except OSError:
        return False
    return "data=journal" in options.splitlines()
