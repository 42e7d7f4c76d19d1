"""The seam between the keychain and the kernel: the few file operations that its promises rest on.

`Disk` says what each operation leaves on the medium; `FolderDisk` is the real one, tests have a
model that loses and tears whatever was not synced (tests/fakes/disk.py). Decides nothing: the order
of operations is `gadget.keychain.durable`'s. Names are relative, at most one folder deep.

Links are never followed, files are 0600, folders 0700, and one process at a time owns the folder:
two signers on one set of marks would sign twice.
"""

import errno
import fcntl
import logging
import os
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import Final, Protocol, Self, final

import trio

from gadget.aio import AioContext
from gadget.errors import SlotsInUseError
from gadget.keychain.journal_mode import find_journals_data
from gadget.occupancy import Occupancy
from gadget.uring import SyncRing, open_sync_ring

__all__ = ["DISK_ERRORS", "MARKS_FOLDER", "Disk", "FolderDisk", "PendingSync", "folder_of"]

logger = logging.getLogger(__name__)

MARKS_FOLDER: Final = "marks"
_FOLDERS: Final = ("", MARKS_FOLDER)
# As many as there may be requests in work, on both interfaces.
_RINGS: Final = 16

# What a disk operation may raise; each of them means "unknown what is on the medium".
DISK_ERRORS: Final = (OSError, SlotsInUseError, trio.ClosedResourceError)


class PendingSync(Protocol):
    """A sync that the kernel has begun."""

    def has_succeeded(self) -> bool:
        """Looks, without waiting, whether it is done and all went well."""
        ...

    async def wait(self) -> object:
        """Returns when it is done. Raises: OSError: what was written may or may not be there."""
        ...


class Disk(Protocol):
    """File operations, each of which raises OSError. All but `PendingSync.wait` may block."""

    @property
    def journals_data(self) -> bool:
        """Whether what is written is committed whole, and in the order of writing."""
        ...

    def list_names(self) -> frozenset[str]: ...

    def read(self, name: str, limit: int) -> bytes:
        """Returns at most `limit` bytes. Raises: FileNotFoundError."""
        ...

    def write_new(self, name: str, data: bytes) -> None:
        """Creates a file and syncs its content, not its name. Raises: FileExistsError."""
        ...

    def rename(self, old: str, new: str) -> None:
        """Replaces `new`; durable after `sync_folder`."""
        ...

    def remove(self, name: str) -> None:
        """Durable after `sync_folder`."""
        ...

    def sync_folder(self, folder: str) -> None: ...

    def open_file(self, name: str) -> int:
        """Returns a handle of an existing file, good until `close_file`."""
        ...

    def start_writes(self, writes: Sequence[tuple[int, bytes]]) -> PendingSync:
        """Writes each block at the beginning of its file, in this order, into the page cache, and
        begins to make the content of the last file durable.

        Args:
            writes: one or more of (handle, block).
        """
        ...

    def start_sync(self, handle: int) -> PendingSync:
        """Begins to make the file's content durable. Returns at once."""
        ...

    def close_file(self, handle: int) -> None: ...


def folder_of(name: str) -> str:
    """Returns "" for a file of the data folder itself."""
    return name.rpartition("/")[0]


@final
class FolderDisk:
    """A folder of the file system. Made by `open`; `close` gives the folder free."""

    def __init__(
        self,
        folders: dict[str, int],
        aio: AioContext,
        rings: list[SyncRing],
        *,
        journals_data: bool,
    ) -> None:
        self._folders = folders
        self._aio = aio
        self._rings = rings
        self._rings_used = 0
        self._handles: set[int] = set()
        self.journals_data = journals_data

    @classmethod
    def open(cls, folder: Path, aio: AioContext) -> Self:
        """Makes the folders where they are missing, and takes the lock.

        Raises:
            OSError: no such parent, not allowed, or (EBUSY) another process owns the folder.
        """
        _make_root(folder)
        root = _open_folder(folder, None)
        folders = {"": root}
        try:
            _lock(root, folder)
            _make_folder(root, MARKS_FOLDER)
            folders[MARKS_FOLDER] = _open_folder(Path(MARKS_FOLDER), root)
            journals_data = find_journals_data(os.fstat(root).st_dev)
            return cls(folders, aio, _open_rings(), journals_data=journals_data)
        except BaseException:
            for fd in folders.values():
                os.close(fd)
            raise

    def close(self) -> None:
        for ring in self._rings:
            ring.close()
        for fd in (*self._handles, *self._folders.values()):
            os.close(fd)
        self._handles.clear()
        self._folders.clear()

    @property
    def occupancy(self) -> Occupancy:
        """How many syncs the kernel has."""
        if not self._rings:
            return self._aio.occupancy
        return Occupancy(
            in_flight=sum(not ring.is_free() for ring in self._rings),
            in_flight_peak=self._rings_used,
            places=len(self._rings),
        )

    def list_names(self) -> frozenset[str]:
        return frozenset(
            f"{folder}/{entry.name}" if folder else entry.name
            for folder, fd in self._folders.items()
            for entry in os.scandir(fd)
            if not entry.is_dir(follow_symlinks=False)
        )

    def read(self, name: str, limit: int) -> bytes:
        with open(self._open(name, os.O_RDONLY), "rb") as file:  # noqa: PTH123 - a descriptor
            return file.read(limit)

    def write_new(self, name: str, data: bytes) -> None:
        fd = self._open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
        with open(fd, "wb") as file:  # noqa: PTH123 - a descriptor
            os.fchmod(fd, 0o600)
            file.write(data)
            file.flush()
            os.fsync(fd)

    def rename(self, old: str, new: str) -> None:
        old_folder, old_entry = self._place(old)
        new_folder, new_entry = self._place(new)
        os.rename(old_entry, new_entry, src_dir_fd=old_folder, dst_dir_fd=new_folder)

    def remove(self, name: str) -> None:
        folder, entry = self._place(name)
        os.unlink(entry, dir_fd=folder)

    def sync_folder(self, folder: str) -> None:
        os.fsync(self._folders[folder])

    def open_file(self, name: str) -> int:
        handle = self._open(name, os.O_RDWR)
        self._handles.add(handle)
        return handle

    def start_writes(self, writes: Sequence[tuple[int, bytes]]) -> PendingSync:
        for handle, block in writes:
            written = os.pwrite(handle, block, 0)
            if written != len(block):
                raise OSError(errno.EIO, f"only {written} of {len(block)} bytes were written")
        return self.start_sync(writes[-1][0])

    def _find_free_ring(self) -> SyncRing:
        for number, ring in enumerate(self._rings, 1):
            if ring.is_free():  # so all before it are not
                self._rings_used = max(self._rings_used, number)
                return ring
        raise SlotsInUseError(f"all {len(self._rings)} rings have a sync on its way")

    def start_sync(self, handle: int) -> PendingSync:
        if self._rings:
            return self._find_free_ring().start(handle)
        return self._aio.submit_fdsync(handle)

    def close_file(self, handle: int) -> None:
        self._handles.remove(handle)
        os.close(handle)

    def _place(self, name: str) -> tuple[int, str]:
        folder = folder_of(name)
        return self._folders[folder], name[len(folder) :].lstrip("/")

    def _open(self, name: str, flags: int) -> int:
        folder, entry = self._place(name)
        # O_NONBLOCK: a pipe that lies there is refused below, not waited for.
        flags |= os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
        fd = os.open(entry, flags, 0o600, dir_fd=folder)
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            os.close(fd)
            raise OSError(errno.EINVAL, "not a regular file", name)
        return fd


def _open_rings() -> list[SyncRing]:
    """All that will ever be needed: no signature waits for one to be made, nothing grows.

    Returns: none where the kernel has none, and then Linux AIO does the work.
    """
    rings: list[SyncRing] = []
    try:
        while len(rings) < _RINGS:
            rings.append(open_sync_ring())
    except OSError as error:
        logger.info("marks are synced without io_uring", extra={"reason": str(error)})
        for ring in rings:
            ring.close()
        return []
    return rings


def _open_folder(path: Path, parent: int | None) -> int:
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=parent)
    if os.fstat(fd).st_mode & 0o077:
        os.fchmod(fd, 0o700)
    return fd


def _make_root(folder: Path) -> None:
    try:
        folder.mkdir(mode=0o700)
    except FileExistsError:
        return
    parent = os.open(folder.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(parent)
    finally:
        os.close(parent)


def _make_folder(parent: int, name: str) -> None:
    try:
        os.mkdir(name, 0o700, dir_fd=parent)
    except FileExistsError:
        return
    os.fsync(parent)


def _lock(fd: int, folder: Path) -> None:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise OSError(errno.EBUSY, "another process owns this data folder", str(folder)) from error
