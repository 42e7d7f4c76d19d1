"""How full the kernel's queues are: slots of an AIO context, rings of the disk."""

import errno
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import NoReturn

import pytest
import trio

from gadget.aio import AioContext, open_aio
from gadget.keychain import disk as disk_module
from gadget.keychain.disk import FolderDisk
from gadget.occupancy import Occupancy

SLOTS = 4
BLOCK = bytes(4096)


@pytest.fixture
async def aio() -> AsyncIterator[AioContext]:
    context = open_aio(SLOTS)
    yield context
    await context.aclose()


async def test_a_context_tells_how_many_requests_the_kernel_has(
    aio: AioContext, tmp_path: Path
) -> None:
    fd = os.open(tmp_path / "file", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        syncs = [aio.submit_fdsync(fd) for _ in range(3)]
        assert aio.occupancy == Occupancy(in_flight=3, in_flight_peak=3, places=SLOTS)
        for sync in syncs:
            await sync.wait()
        assert aio.occupancy == Occupancy(in_flight=0, in_flight_peak=3, places=SLOTS)
        await aio.submit_fdsync(fd).wait()
        assert aio.occupancy.in_flight_peak == 3
    finally:
        os.close(fd)


def refuse_ring() -> NoReturn:
    raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))


@pytest.fixture(params=["io_uring", "aio"])
def disk(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    aio: AioContext,
    monkeypatch: pytest.MonkeyPatch,
) -> FolderDisk:
    if request.param == "aio":
        monkeypatch.setattr(disk_module, "open_sync_ring", refuse_ring)
    return FolderDisk.open(tmp_path / "data", aio)


async def test_a_disk_tells_how_many_syncs_the_kernel_has(disk: FolderDisk) -> None:
    try:
        places = disk.occupancy.places
        assert places == (len(disk._rings) or SLOTS)
        assert disk.occupancy == Occupancy(in_flight=0, in_flight_peak=0, places=places)
        disk.write_new("one", BLOCK)
        handle = disk.open_file("one")
        for _ in range(3):  # one after the other
            await disk.start_writes([(handle, BLOCK)]).wait()
        assert disk.occupancy == Occupancy(in_flight=0, in_flight_peak=1, places=places)
        async with trio.open_nursery() as nursery:
            for _ in range(3):
                nursery.start_soon(disk.start_sync(handle).wait)
        assert disk.occupancy.in_flight == 0
        assert 1 <= disk.occupancy.in_flight_peak <= 3
    finally:
        disk.close()
