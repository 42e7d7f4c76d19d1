"""The contract of `Disk`, for the real one and for the fake; then what only a real folder has."""

import errno
import fcntl
import os
import stat
from collections.abc import AsyncIterator
from pathlib import Path
from typing import NoReturn

import pytest
import trio

from broker.contract import WORKERS
from gadget.aio import AioContext, open_aio
from gadget.keychain import disk as disk_module
from gadget.keychain.disk import Disk, FolderDisk, folder_of
from gadget.uring import SyncRing, open_sync_ring
from tests.fakes.disk import FakeDisk

_BLOCK = bytes(range(256)) * 16


@pytest.fixture
async def aio() -> AsyncIterator[AioContext]:
    context = open_aio(4)
    yield context
    await context.aclose()


def _refuse_ring() -> NoReturn:
    raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))


@pytest.fixture(params=["folder", "folder without io_uring", "fake", "fake journal"])
async def disk(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    aio: AioContext,
    monkeypatch: pytest.MonkeyPatch,
) -> AsyncIterator[Disk]:
    if request.param.startswith("folder"):
        if request.param != "folder":
            monkeypatch.setattr(disk_module, "open_sync_ring", _refuse_ring)
        real = FolderDisk.open(tmp_path / "data", aio)
        yield real
        real.close()
    else:
        yield FakeDisk(journals_data=request.param == "fake journal")


async def test_a_new_disk_is_empty(disk: Disk) -> None:
    assert disk.list_names() == frozenset()


async def test_a_new_file_is_listed_and_read(disk: Disk) -> None:
    disk.write_new("one", b"1")
    disk.write_new("marks/two", _BLOCK)
    disk.sync_folder("")
    disk.sync_folder("marks")
    assert disk.list_names() == {"one", "marks/two"}
    assert disk.read("marks/two", 9999) == _BLOCK


async def test_no_more_is_read_than_asked_for(disk: Disk) -> None:
    disk.write_new("one", _BLOCK)
    assert disk.read("one", 5) == _BLOCK[:5]


async def test_a_file_is_never_made_twice(disk: Disk) -> None:
    disk.write_new("one", b"1")
    with pytest.raises(FileExistsError):
        disk.write_new("one", b"2")
    assert disk.read("one", 9) == b"1"


async def test_renaming_replaces(disk: Disk) -> None:
    disk.write_new("marks/a", b"new")
    disk.write_new("marks/b", b"old")
    disk.rename("marks/a", "marks/b")
    assert disk.list_names() == {"marks/b"}
    assert disk.read("marks/b", 9) == b"new"


async def test_removed_is_gone(disk: Disk) -> None:
    disk.write_new("one", b"1")
    disk.remove("one")
    assert disk.list_names() == frozenset()


async def test_what_is_absent_is_not_found(disk: Disk) -> None:
    with pytest.raises(FileNotFoundError):
        disk.read("one", 9)
    with pytest.raises(FileNotFoundError):
        disk.open_file("one")
    with pytest.raises(FileNotFoundError):
        disk.remove("one")
    with pytest.raises(FileNotFoundError):
        disk.rename("one", "two")


async def test_what_is_written_is_durable_and_read(disk: Disk) -> None:
    disk.write_new("one", bytes(4096))
    handle = disk.open_file("one")
    await disk.start_writes([(handle, _BLOCK)]).wait()
    disk.close_file(handle)
    assert disk.read("one", 9999) == _BLOCK


async def test_two_files_are_written_by_one_start(disk: Disk) -> None:
    handles = []
    for name in ("one", "two"):
        disk.write_new(name, bytes(4096))
        handles.append(disk.open_file(name))
    for number in range(20):
        blocks = [bytes([number, index]) * 2048 for index in range(2)]
        await disk.start_writes(list(zip(handles, blocks, strict=True))).wait()
        assert [disk.read(name, 9999) for name in ("one", "two")] == blocks


async def test_a_write_that_has_succeeded_says_so_without_waiting(disk: Disk) -> None:
    disk.write_new("one", bytes(4096))
    handle = disk.open_file("one")
    write = disk.start_writes([(handle, _BLOCK)])
    if not write.has_succeeded():
        await write.wait()
    assert write.has_succeeded()
    await write.wait()
    disk.close_file(handle)


async def test_the_outcome_of_a_write_stays_its_own(disk: Disk) -> None:
    disk.write_new("one", bytes(4096))
    handle = disk.open_file("one")
    writes = []
    for _ in range(4):
        writes.append(disk.start_writes([(handle, _BLOCK)]))
        await writes[-1].wait()
    assert all(write.has_succeeded() for write in writes)


async def test_a_write_nobody_waits_for_stands_in_nobodys_way(disk: Disk) -> None:
    disk.write_new("one", bytes(4096))
    handle = disk.open_file("one")
    with trio.CancelScope() as scope:
        scope.cancel()
        await disk.start_writes([(handle, bytes(4096))]).wait()
    for _ in range(20):
        await disk.start_writes([(handle, _BLOCK)]).wait()
    assert disk.read("one", 9999) == _BLOCK


async def test_a_sync_without_a_write_ends(disk: Disk) -> None:
    disk.write_new("one", _BLOCK)
    handle = disk.open_file("one")
    await disk.start_sync(handle).wait()
    disk.close_file(handle)


async def test_a_short_file_grows_by_overwriting(disk: Disk) -> None:
    disk.write_new("one", b"")
    handle = disk.open_file("one")
    await disk.start_writes([(handle, _BLOCK)]).wait()
    assert disk.read("one", 9999) == _BLOCK
    disk.close_file(handle)


async def test_writes_of_several_files_may_run_at_once(disk: Disk) -> None:
    handles = []
    for name in ("one", "two", "three"):
        disk.write_new(name, bytes(4096))
        handles.append(disk.open_file(name))
    async with trio.open_nursery() as nursery:
        for handle in handles:
            nursery.start_soon(disk.start_writes([(handle, _BLOCK)]).wait)
    for name in ("one", "two", "three"):
        assert disk.read(name, 9999) == _BLOCK


def test_folders_of_names() -> None:
    assert folder_of("keystore.0") == ""
    assert folder_of("marks/tz1.0") == "marks"


# The real folder.


async def test_files_are_0600_and_folders_0700_whatever_the_umask(
    tmp_path: Path, aio: AioContext
) -> None:
    for umask in (0, 0o777):
        folder = tmp_path / f"{umask}"
        before = os.umask(umask)
        try:
            if umask == 0:
                disk = FolderDisk.open(folder, aio)
            else:
                folder.mkdir()
                folder.chmod(0o700)
                (folder / "marks").mkdir()
                (folder / "marks").chmod(0o700)
                disk = FolderDisk.open(folder, aio)
            disk.write_new("marks/one", b"1")
        finally:
            os.umask(before)
        disk.close()
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        assert stat.S_IMODE((folder / "marks").stat().st_mode) == 0o700
        assert stat.S_IMODE((folder / "marks/one").stat().st_mode) == 0o600


async def test_a_folder_that_is_open_to_others_is_closed(tmp_path: Path, aio: AioContext) -> None:
    (tmp_path / "data").mkdir(mode=0o755)
    FolderDisk.open(tmp_path / "data", aio).close()
    assert stat.S_IMODE((tmp_path / "data").stat().st_mode) == 0o700


async def test_links_are_not_followed(tmp_path: Path, aio: AioContext) -> None:
    victim = tmp_path / "victim"
    victim.write_bytes(b"mine")
    disk = FolderDisk.open(tmp_path / "data", aio)
    (tmp_path / "data/link").symlink_to(victim)
    for use in (
        lambda: disk.read("link", 9),
        lambda: disk.open_file("link"),
        lambda: disk.write_new("link", b"x"),
    ):
        with pytest.raises(OSError, match=r"symbolic|exists"):
            use()
    assert victim.read_bytes() == b"mine"
    disk.close()


async def test_a_folder_that_is_a_link_is_refused(tmp_path: Path, aio: AioContext) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "data").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError, match=r"symbolic|directory"):
        FolderDisk.open(tmp_path / "data", aio)


async def test_a_pipe_in_the_place_of_a_file_is_refused(tmp_path: Path, aio: AioContext) -> None:
    disk = FolderDisk.open(tmp_path / "data", aio)
    os.mkfifo(tmp_path / "data/pipe")
    with pytest.raises(OSError, match="not a regular file"):
        disk.read("pipe", 9)
    disk.close()


async def test_two_processes_never_share_a_folder(tmp_path: Path, aio: AioContext) -> None:
    disk = FolderDisk.open(tmp_path / "data", aio)
    with pytest.raises(OSError, match="another process owns") as caught:
        FolderDisk.open(tmp_path / "data", aio)
    assert caught.value.errno == errno.EBUSY
    disk.close()
    FolderDisk.open(tmp_path / "data", aio).close()


async def test_no_descriptor_is_left_behind(tmp_path: Path, aio: AioContext) -> None:
    def count() -> int:
        return len(list(Path("/proc/self/fd").iterdir()))

    FolderDisk.open(tmp_path / "data", aio).close()
    before = count()
    disk = FolderDisk.open(tmp_path / "data", aio)
    disk.write_new("one", bytes(4096))
    disk.open_file("one")
    disk.read("one", 9)
    with pytest.raises(OSError, match="owns"):
        FolderDisk.open(tmp_path / "data", aio)
    disk.close()
    assert count() == before


async def test_a_missing_parent_is_an_error(tmp_path: Path, aio: AioContext) -> None:
    with pytest.raises(FileNotFoundError):
        FolderDisk.open(tmp_path / "no/data", aio)


async def test_descriptors_are_not_inherited(tmp_path: Path, aio: AioContext) -> None:
    disk = FolderDisk.open(tmp_path / "data", aio)
    disk.write_new("one", bytes(4096))
    handle = disk.open_file("one")
    assert fcntl.fcntl(handle, fcntl.F_GETFD) & fcntl.FD_CLOEXEC
    disk.close()


def _list_descriptors() -> list[str]:
    return sorted(path.name for path in Path("/proc/self/fd").iterdir())


async def test_as_many_syncs_as_requests_open_nothing(tmp_path: Path, aio: AioContext) -> None:
    """A first burst would be a growth that a soak can't tell from a leak, and slow."""
    real = FolderDisk.open(tmp_path / "data", aio)
    try:
        real.write_new("one", bytes(4096))
        handle = real.open_file("one")
        before = _list_descriptors()
        async with trio.open_nursery() as nursery:
            for _ in range(2 * WORKERS):
                nursery.start_soon(real.start_sync(handle).wait)
            assert _list_descriptors() == before
    finally:
        real.close()


async def test_a_ring_too_few_is_none(
    tmp_path: Path, aio: AioContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Descriptors or memory may run out between the first ring and the last."""
    opened = iter(range(3))

    def open_some() -> SyncRing:
        if next(opened, None) is None:
            _refuse_ring()
        return open_sync_ring()

    before = len(_list_descriptors())
    monkeypatch.setattr(disk_module, "open_sync_ring", open_some)
    real = FolderDisk.open(tmp_path / "data", aio)
    try:
        assert len(_list_descriptors()) == before + 2  # its two folders
        real.write_new("one", bytes(4096))
        await real.start_sync(real.open_file("one")).wait()
    finally:
        real.close()
