"""/data: the disk that the host gave, formatted as on the image, or what `init` mounted there."""

import contextlib
import os
import time
from pathlib import Path

from tests.lab.guest.programs import Programs

__all__ = ["leave_data", "mount_data"]

DISK = Path("/dev/vda")
DATA = Path("/data")
_MAGIC_OFFSET = 1024 + 0x38  # s_magic of the ext4 super block
_MAGIC = b"\x53\xef"
_BLANK_BYTES = 1024 * 1024
_END_S = 5.0
_POLL_S = 0.01


def mount_data(programs: Programs) -> None:
    """Mounts the disk, if there is one; makes the file system if the disk is blank.

    Raises: RuntimeError for a disk that holds something else.
    """
    if not DISK.exists():
        return
    with DISK.open("rb") as disk:
        start = disk.read(_BLANK_BYTES)
    if start[_MAGIC_OFFSET : _MAGIC_OFFSET + len(_MAGIC)] != _MAGIC:
        if any(start):
            raise RuntimeError("the disk is neither blank nor ext4; it is left as it is")
        _run(programs, "mke2fs", "-q", "-F", "-t", "ext4", "-J", "size=4", str(DISK))
        _run(programs, "tune2fs", "-o", "journal_data", str(DISK))
    _run(programs, "mount", "-t", "ext4", str(DISK), str(DATA))


def leave_data(programs: Programs) -> None:
    """Puts everything on the disk, once all that could use it has ended or has had time to."""
    if not DISK.exists():
        return
    deadline = time.monotonic() + _END_S
    with contextlib.suppress(ChildProcessError):  # process 1 has no child left
        while time.monotonic() < deadline:
            if os.waitpid(-1, os.WNOHANG) == (0, 0):
                time.sleep(_POLL_S)
    try:
        _run(programs, "umount", str(DATA))
    except RuntimeError:  # what can't be killed still uses it; the journal makes up for the rest
        os.sync()


def _run(programs: Programs, *words: str) -> None:
    programs.start(words[0], list(words), os.environ)
    programs.wait(words[0])
