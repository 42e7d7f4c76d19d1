"""A folder in memory that loses, tears and refuses: the model of what `Disk` promises.

What is not synced may be on the medium or not, and each sector of a block that is overwritten in
place may be old, new or spoilt; with `journals_data` writes arrive whole and in order, but not all
of them. Every call is counted, so that a test can make the n-th one fail, fall short, or be the one
at which the power goes or the process is killed. Passes the same contract tests as `FolderDisk`
(tests/gadget/keychain/test_disk.py).
"""

import errno
import os
from collections.abc import Callable, Sequence
from enum import Enum, auto
from random import Random
from typing import Final

import trio

from gadget.keychain.disk import folder_of

__all__ = ["FakeDisk", "Fault", "Killed", "PowerCut"]

_SECTOR: Final = 512


class PowerCut(BaseException):
    """The power is gone. No `except Exception` of the code under test may survive it."""


class Killed(BaseException):
    """The process is gone; what it has written lies in the page cache."""


class Fault(Enum):
    ERROR = auto()  # EIO; what a sync was to make durable may be lost, and is clean for the kernel
    SHORT = auto()  # a write takes only some of the bytes; elsewhere the same as ERROR
    CUT = auto()  # the power goes during this call
    KILL = auto()  # the process is killed after this call


class _Log(list[tuple["_File", bytes]]):
    """What was overwritten and is not synced, in order; positions count from the first ever."""

    def __init__(self) -> None:
        super().__init__()
        self.gone = 0

    @property
    def end(self) -> int:
        return self.gone + len(self)

    def take(self, end: int) -> list[tuple["_File", bytes]]:
        count = max(0, end - self.gone)
        taken = self[:count]
        del self[:count]
        self.gone += len(taken)
        return taken


class _File:
    def __init__(self, content: bytes) -> None:
        self.durable = content
        self.cached = content
        self.pending = _Log()


class FakeDisk:
    """Args: random: decides whatever a real disk would leave open."""

    def __init__(self, *, journals_data: bool = False, random: Random | None = None) -> None:
        self.journals_data = journals_data
        self.is_full = False
        self.is_read_only = False
        self.calls: list[str] = []
        self._random = random or Random(0)  # noqa: S311 - chance, not secrets
        self._faults: dict[int, Fault] = {}
        self._gone: type[BaseException] | None = None
        self._names: dict[str, _File] = {}
        self._durable_names: dict[str, _File] = {}
        self._name_log: dict[str, list[Callable[[dict[str, _File]], object]]] = {}
        self._handles: dict[int, _File] = {}
        self._next_handle = 3
        self._journal = _Log()  # with journals_data; otherwise each file has its own

    # What tests do.

    def fail_at(self, call: int, fault: Fault) -> None:
        """Lets the n-th call from now on fail; 0 is the next one."""
        self._faults = {len(self.calls) + call: fault}

    def fail_never(self) -> None:
        self._faults = {}

    def is_quick(self) -> bool:
        """For its syncs: whether one ends before anybody waits for it."""
        return self._random.random() < 0.5

    @property
    def open_handles(self) -> int:
        return len(self._handles)

    def restart_process(self) -> "FakeDisk":
        """Returns the disk as the next process finds it: the kernel has all that was written."""
        disk = FakeDisk(journals_data=self.journals_data, random=self._random)
        disk._names, disk._durable_names = self._names, self._durable_names
        disk._name_log, disk._journal = self._name_log, self._journal
        disk.is_full, disk.is_read_only = self.is_full, self.is_read_only
        return disk

    def cut_power(self) -> "FakeDisk":
        """Returns the disk as it is found after a power cut at this moment."""
        self._gone = PowerCut
        for log in self._name_log.values():
            for change in log[: self._random.randint(0, len(log))]:
                change(self._durable_names)
        for file, data in self._journal[: self._random.randint(0, len(self._journal))]:
            file.durable = data
        disk = FakeDisk(journals_data=self.journals_data, random=self._random)
        for name, file in self._durable_names.items():
            disk._names[name] = _File(self._tear(file.durable, file.pending))
        disk._durable_names = dict(disk._names)
        return disk

    def damage(self, name: str, content: bytes | None) -> None:
        """Replaces what is on the medium, None: nothing is."""
        self._names.pop(name, None)
        self._durable_names.pop(name, None)
        if content is not None:
            self._names[name] = self._durable_names[name] = _File(content)

    def content(self, name: str) -> bytes:
        return self._names[name].cached

    # What the keychain does.

    def list_names(self) -> frozenset[str]:
        self._enter("list_names")
        return frozenset(self._names)

    def read(self, name: str, limit: int) -> bytes:
        self._enter("read")
        return self._find(name).cached[:limit]

    def write_new(self, name: str, data: bytes) -> None:
        fault = self._enter("write_new", changes=True)
        spoilt = fault not in (None, Fault.KILL)
        if name in self._names:
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), name)
        part = data[: self._random.randint(0, len(data))] if spoilt or self.is_full else data
        file = _File(part)
        self._names[name] = file
        self._log(name, lambda names: names.update({name: file}))
        if self.is_full:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), name)
        self._leave(fault)

    def rename(self, old: str, new: str) -> None:
        fault = self._enter("rename", changes=True)
        self._find(old)
        if fault in (None, Fault.KILL) or self._random.random() < 0.5:
            self._names[new] = self._names.pop(old)
            self._log(new, lambda names: old in names and names.update({new: names.pop(old)}))
        self._leave(fault)

    def remove(self, name: str) -> None:
        fault = self._enter("remove", changes=True)
        if name not in self._names:
            self._leave(fault)
        self._find(name)
        if fault in (None, Fault.KILL) or self._random.random() < 0.5:
            del self._names[name]
            self._log(name, lambda names: names.pop(name, None))
        self._leave(fault)

    def sync_folder(self, folder: str) -> None:
        fault = self._enter("sync_folder", changes=True)
        # Names are metadata: what a failed sync leaves stays in the journal, for the next one.
        log = self._name_log.setdefault(folder, [])
        kept = len(log) if fault is None else self._random.randint(0, len(log))
        for change in log[:kept]:
            change(self._durable_names)
        del log[:kept]
        self._leave(fault)

    def open_file(self, name: str) -> int:
        self._leave(self._enter("open_file", changes=True))
        self._next_handle += 1
        self._handles[self._next_handle] = self._find(name)
        return self._next_handle

    def overwrite(self, handle: int, data: bytes) -> int:
        fault = self._enter("overwrite", changes=True)
        file = self._handles[handle]
        whole = fault in (None, Fault.KILL)
        taken = len(data) if whole else self._random.randrange(len(data))
        file.cached = data[:taken] + file.cached[taken:]
        self._log_of(file).append((file, file.cached))
        if fault is Fault.SHORT:
            return taken
        self._leave(fault)
        return taken

    def start_writes(self, writes: Sequence[tuple[int, bytes]]) -> "_FakeSync":
        for handle, block in writes:
            if self.overwrite(handle, block) != len(block):
                raise OSError(errno.EIO, os.strerror(errno.EIO))
        return self.start_sync(writes[-1][0])

    def start_sync(self, handle: int) -> "_FakeSync":
        self._leave(self._enter("start_sync", changes=True))
        file = self._handles[handle]
        return _FakeSync(self, file, self._log_of(file).end)

    def close_file(self, handle: int) -> None:
        del self._handles[handle]

    def finish_sync(self, file: _File, end: int) -> None:
        fault = self._enter("wait", changes=True)
        if fault is Fault.KILL:  # before the sync is done: it goes on, or not at all
            self._leave(fault)
        # After an error the kernel takes the pages for clean: they are not tried again.
        taken = self._log_of(file).take(end)
        if fault is None or self.journals_data:
            kept = len(taken) if fault is None else self._random.randint(0, len(taken))
            for changed, data in taken[:kept]:
                changed.durable = data
        else:
            file.durable = self._tear(file.durable, taken)
        self._leave(fault)

    # The rest.

    def _enter(self, call: str, *, changes: bool = False) -> Fault | None:
        if self._gone is not None:
            raise self._gone
        fault = self._faults.pop(len(self.calls), None)
        self.calls.append(call)
        if changes and self.is_read_only:
            raise OSError(errno.EROFS, os.strerror(errno.EROFS))
        if not changes:
            self._leave(fault)
        return fault

    def _leave(self, fault: Fault | None) -> None:
        if fault in (Fault.CUT, Fault.KILL):
            self._gone = PowerCut if fault is Fault.CUT else Killed
            raise self._gone
        if fault is not None:
            raise OSError(errno.EIO, os.strerror(errno.EIO))

    def _find(self, name: str) -> _File:
        try:
            return self._names[name]
        except KeyError:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), name) from None

    def _log_of(self, file: _File) -> _Log:
        return self._journal if self.journals_data else file.pending

    def _log(self, name: str, change: Callable[[dict[str, _File]], object]) -> None:
        self._name_log.setdefault(folder_of(name), []).append(change)

    def _tear(self, content: bytes, writes: Sequence[tuple[_File, bytes]]) -> bytes:
        for _, data in writes:
            sectors = range(0, max(len(content), len(data)), _SECTOR)
            if len(data) != len(content):
                content = self._random.choice((content, data))
                continue
            content = b"".join(
                self._random.choice((content, data, bytes(len(data))))[at : at + _SECTOR]
                for at in sectors
            )
        return content


class _FakeSync:
    def __init__(self, disk: FakeDisk, file: _File, end: int) -> None:
        self._disk = disk
        self._file = file
        self._end = end
        self._is_done = False
        self._failure: OSError | None = None

    def has_succeeded(self) -> bool:
        # One in two is faster than whoever asks.
        if not self._is_done and self._disk.is_quick():
            self._finish()
        return self._is_done and self._failure is None

    async def wait(self) -> None:
        # A disk takes its time: others get their turn meanwhile.
        for _ in range(3):
            await trio.lowlevel.checkpoint()
        if not self._is_done:
            self._finish()
        if self._failure is not None:
            raise self._failure

    def _finish(self) -> None:
        try:
            self._disk.finish_sync(self._file, self._end)
        except OSError as error:
            self._failure = error
        self._is_done = True
