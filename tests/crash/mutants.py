"""Stores with one part broken on purpose, by name: the crash test must catch each.

Each breaks the workload as well as what opens the images, for good: use a process of its own.
"""

import os
from collections.abc import Callable, Sequence
from typing import Final

from gadget.keychain import mark_record, mark_store
from gadget.keychain.disk import FolderDisk, PendingSync
from gadget.keychain.durable import PendingWrite
from gadget.keychain.mark_record import StoredMarks
from gadget.keychain.mark_store import MarkStore
from gadget.keychain.marks import Marks

__all__ = ["MUTANTS"]


class _NoSync:
    def has_succeeded(self) -> bool:
        return True

    async def wait(self) -> None:
        return


def _sync_nothing() -> None:
    def start_writes(self: FolderDisk, writes: Sequence[tuple[int, bytes]]) -> PendingSync:
        for handle, block in writes:
            os.pwrite(handle, block, 0)
        return _NoSync()

    def start_sync(self: FolderDisk, handle: int) -> PendingSync:
        return _NoSync()

    FolderDisk.start_writes = start_writes  # type: ignore[method-assign]
    FolderDisk.start_sync = start_sync  # type: ignore[method-assign]


def _write_one_file() -> None:
    real = FolderDisk.start_writes

    def start_writes(self: FolderDisk, writes: Sequence[tuple[int, bytes]]) -> PendingSync:
        return real(self, writes[:1])

    FolderDisk.start_writes = start_writes  # type: ignore[method-assign]


def _release_before_written() -> None:
    def finish(self: MarkStore, pending: PendingWrite, marks: Marks) -> bool:
        self.marks = marks
        self.is_confirmed = True
        return True

    MarkStore.finish_nowait = finish  # type: ignore[method-assign]


def _take_missing_for_zero() -> None:
    def choose(found: tuple[StoredMarks | None, StoredMarks | None]) -> StoredMarks:
        if found == (None, None):
            return StoredMarks(sequence=0, marks=Marks())
        return mark_record.choose_newest(found)

    mark_store.choose_newest = choose  # type: ignore[attr-defined]


MUTANTS: Final[dict[str, Callable[[], None]]] = {
    "no-fsync": _sync_nothing,
    "one-file": _write_one_file,
    "released-before-the-write": _release_before_written,
    "zero-on-missing": _take_missing_for_zero,
}
