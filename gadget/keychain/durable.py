"""Two ways to write so that a power cut is never seen: replace a file whole, overwrite slots.

Owns the order of writes and syncs, which the promises rest on (docs/on-disk.md has the argument).
Knows neither keys nor layouts. Called by `keystore`, `mark_store` and `admission`.
"""

import contextlib
import logging
from collections.abc import Sequence
from typing import Final, final

from gadget.keychain.disk import DISK_ERRORS, Disk, PendingSync, folder_of
from gadget.keychain.errors import NotStored

__all__ = ["TEMPORARY", "PendingWrite", "Slots", "remove_files", "replace_files"]

logger = logging.getLogger(__name__)

TEMPORARY: Final = ".tmp"


def replace_files(disk: Disk, files: Sequence[tuple[str, bytes]]) -> None:
    """Replaces each file, the first one durably before the second is touched. Blocks.

    All contents are written and synced before the first rename, so that a full disk changes
    nothing at all.

    Raises:
        NotStored: `unsettled` where a rename may have happened.
    """
    try:
        for name, data in files:
            with contextlib.suppress(FileNotFoundError):
                disk.remove(name + TEMPORARY)
            disk.write_new(name + TEMPORARY, data)
    except DISK_ERRORS as error:
        _discard(disk, files)
        raise NotStored(f"{files[0][0]} could not be written: {error}") from error
    try:
        for name, _ in files:
            disk.rename(name + TEMPORARY, name)
            disk.sync_folder(folder_of(name))
    except DISK_ERRORS as error:
        raise NotStored(f"{files[0][0]} could not be replaced: {error}", unsettled=True) from error


def _discard(disk: Disk, files: Sequence[tuple[str, bytes]]) -> None:
    for name, _ in files:
        with contextlib.suppress(*DISK_ERRORS):
            disk.remove(name + TEMPORARY)


def remove_files(disk: Disk, names: Sequence[str]) -> None:
    """Removes what nothing refers to any more. What can't be removed is logged and left. Blocks."""
    try:
        for name in names:
            with contextlib.suppress(FileNotFoundError):
                disk.remove(name)
            disk.sync_folder(folder_of(name))
    except DISK_ERRORS as error:
        logger.warning("left-over file stays", extra={"file": name, "reason": str(error)})


@final
class Slots:
    """Preallocated files that are overwritten in place, all with the same news. Kept open.

    After a failure the kernel may believe that pages are clean which never reached the medium
    (fsync reports an error once): so nothing is ever taken as written before, each write carries
    every slot in full.
    """

    def __init__(self, disk: Disk, names: Sequence[str]) -> None:
        """Raises: OSError: a file is missing or can't be opened."""
        self._disk = disk
        self._handles: list[int] = []
        self._first = 0
        try:
            for name in names:
                self._handles.append(disk.open_file(name))
        except BaseException:
            self.close()
            raise

    def begin(self, blocks: Sequence[bytes]) -> "PendingWrite":
        """Hands the blocks, one for each slot, to the kernel. The caller must wait for the result.

        Raises:
            DISK_ERRORS: not durable, though some of it may get there.
        """
        if self._disk.journals_data:
            # One commit carries them all, or a prefix of them: jbd2 commits in order.
            writes = list(zip(self._handles, blocks, strict=True))
            return PendingWrite(self, blocks, self._disk.start_writes(writes), ())
        # Not before the first slot is durable may the second be touched. The slot that was written
        # last goes first: if that write failed, this is the one that may be torn.
        first = self._first
        rest = [index for index in range(len(blocks)) if index != first]
        return PendingWrite(self, blocks, self.start(first, blocks[first]), rest)

    async def settle(self) -> None:
        """Makes durable what lies in the page cache, whoever wrote it. Raises: DISK_ERRORS."""
        for handle in self._handles:
            await self._disk.start_sync(handle).wait()

    def start(self, index: int, block: bytes) -> PendingSync:
        """Overwrites one slot and begins to make it durable."""
        self._first = index
        return self._disk.start_writes([(self._handles[index], block)])

    def close(self) -> None:
        for handle in self._handles:
            with contextlib.suppress(OSError):
                self._disk.close_file(handle)
        self._handles = []


@final
class PendingWrite:
    """One write of all slots, on its way."""

    __slots__ = ("_blocks", "_rest", "_slots", "_sync")

    def __init__(
        self, slots: Slots, blocks: Sequence[bytes], sync: PendingSync, rest: Sequence[int]
    ) -> None:
        self._slots = slots
        self._blocks = blocks
        self._sync = sync
        self._rest = rest

    def is_durable(self) -> bool:
        """Whether every slot is known to be durable. Never waits; `wait` tells of a failure."""
        return not self._rest and self._sync.has_succeeded()

    async def wait(self) -> None:
        """Returns when every slot is durable.

        Raises:
            DISK_ERRORS: unknown what is durable.
        Cancel: leaves that unknown too; shield it.
        """
        await self._sync.wait()
        for index in self._rest:
            await self._slots.start(index, self._blocks[index]).wait()
