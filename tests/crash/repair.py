"""Builds one crash image after the other, lets e2fsck replay its journal, and reads its files.

A board's boot only mounts, which replays the journal. `e2fsck -p` does that with the kernel's own
code (jbd2's recovery.c is kept in both), faster and without rights. It goes further than a mount:
a journal that can't be read is deleted, and with it what was committed. That counts as refused, as
the kernel does it.
"""

import hashlib
import mmap
import os
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.crash.ext4 import BadImage, Ext4
from tests.crash.recording import Recording, Write

__all__ = ["STORE_FOLDER", "RepairShop", "Repaired"]

STORE_FOLDER: Final = "store"
_JOURNAL_INODE: Final = 8
_SUPER_BLOCK_END: Final = 2048
_PIECE_BYTES: Final = 1024
_CORRECTED: Final = (0, 1)  # exit status: clean, or errors were corrected
_JOURNAL_DELETED: Final = b"journal has been deleted"
_ENVIRONMENT: Final = {"E2FSCK_TIME": "1790000000", "PATH": "/usr/sbin:/sbin:/usr/bin:/bin"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Repaired:
    """What came out.

    Args:
        digest: of all blocks that the recording ever wrote but journal and super block, which
            differ without meaning anything.
        files: the store's; None where the file system could not be repaired.
    """

    digest: bytes
    files: dict[str, bytes] | None


class RepairShop:
    """Keeps the durable disk, which only grows by `settle`, and a file to try images in."""

    def __init__(self, recording: Recording, folder: Path) -> None:
        self._durable = bytearray(recording.base)
        self._image = folder / "image"
        self._output = folder / "e2fsck.log"
        self._image.write_bytes(recording.base)
        with self._image.open("r+b") as file:
            self._mapped = mmap.mmap(file.fileno(), 0)
        self._pieces = _choose_pieces(recording)
        self._e2fsck = shutil.which("e2fsck", path=_ENVIRONMENT["PATH"]) or "e2fsck"

    def settle(self, writes: Iterable[Write]) -> None:
        for write in writes:
            self._durable[write.offset : write.offset + len(write.data)] = write.data

    def repair(self, writes: Sequence[Write]) -> Repaired:
        self.build(writes)
        is_mountable = self._run_e2fsck()
        image = self._mapped
        digest = hashlib.blake2b(digest_size=16)
        for at in self._pieces:
            digest.update(image[at : at + _PIECE_BYTES])
        files = None
        if is_mountable:
            try:
                files = Ext4.open(image).read_files(STORE_FOLDER)
            except BadImage:
                files = None
        return Repaired(digest=digest.digest(), files=files)

    def build(self, writes: Sequence[Write]) -> Path:
        """Returns the file that holds the image as the power cut left it."""
        self._mapped[:] = self._durable
        for write in writes:
            self._mapped[write.offset : write.offset + len(write.data)] = write.data
        return self._image

    def _run_e2fsck(self) -> bool:
        words = [self._e2fsck, "-p", str(self._image)]
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
        output = (os.POSIX_SPAWN_OPEN, 1, str(self._output), flags, 0o600)
        actions = [output, (os.POSIX_SPAWN_DUP2, 1, 2)]
        child = os.posix_spawn(self._e2fsck, words, _ENVIRONMENT, file_actions=actions)
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        return status in _CORRECTED and _JOURNAL_DELETED not in self._output.read_bytes()

    def close(self) -> None:
        self._mapped.close()
        self._image.unlink()


def _choose_pieces(recording: Recording) -> list[int]:
    file_system = Ext4.open(recording.base)
    size = file_system.block_bytes
    journal = {
        at
        for extent in file_system.extents(_JOURNAL_INODE)
        for at in range(extent.start * size, (extent.start + extent.blocks) * size, _PIECE_BYTES)
    }
    written = {
        at
        for entry in recording.entries
        if isinstance(entry, Write)
        for at in range(entry.offset, entry.offset + len(entry.data), _PIECE_BYTES)
    }
    return sorted(at for at in written - journal if at >= _SUPER_BLOCK_END)
