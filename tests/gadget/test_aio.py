"""AIO on trio against this machine's kernel: files, whose transfers and syncs end by themselves."""

import errno
import gc
import os
import threading
import weakref
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest
import trio

from gadget import aio as aio_module
from gadget.aio import AioContext, open_aio

_TMPFS = Path("/dev/shm")  # noqa: S108 - a file system of another kind, not a place for data


@pytest.fixture
async def aio() -> AsyncIterator[AioContext]:
    context = open_aio(4)
    yield context
    await context.aclose()


@pytest.fixture(params=["disk", "tmpfs"])
def fd(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[int]:
    folder = tmp_path if request.param == "disk" else _TMPFS
    path = folder / f"aio-{os.getpid()}-{threading.get_native_id()}"
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
    path.unlink()
    yield fd
    os.close(fd)


async def test_write_and_read_move_all_bytes(aio: AioContext, fd: int) -> None:
    assert await aio.submit_write(fd, b"\0consensus\0").wait() == 11
    buffer = bytearray(64)
    assert await aio.submit_read(fd, buffer).wait() == 11
    assert buffer[:12] == b"\0consensus\0\0"


async def test_fdsync_after_pwrite_succeeds(aio: AioContext, fd: int) -> None:
    for round_number in range(20):
        os.pwrite(fd, bytes([round_number]) * 4096, 0)
        assert await aio.submit_fdsync(fd).wait() == 0
    assert os.pread(fd, 1, 0) == b"\x13"


async def test_fdsyncs_of_several_tasks_are_each_answered(aio: AioContext, fd: int) -> None:
    finished = []

    async def sync(number: int) -> None:
        for _ in range(20):
            os.pwrite(fd, bytes(4096), number * 4096)
            finished.append(await aio.submit_fdsync(fd).wait())

    async with trio.open_nursery() as nursery:
        for number in range(4):
            nursery.start_soon(sync, number)
    assert finished == [0] * 80


async def test_fdsync_of_a_file_that_is_open_for_reading_succeeds(
    aio: AioContext, tmp_path: Path
) -> None:
    (tmp_path / "file").write_bytes(b"x")
    fd = os.open(tmp_path / "file", os.O_RDONLY)
    try:
        assert await aio.submit_fdsync(fd).wait() == 0
    finally:
        os.close(fd)


async def test_fdsync_of_what_cannot_be_synced_is_einval(aio: AioContext) -> None:
    ends = os.pipe()
    try:
        with pytest.raises(OSError, match="io_submit") as caught:
            aio.submit_fdsync(ends[0])
        assert caught.value.errno == errno.EINVAL
    finally:
        for fd in ends:
            os.close(fd)


@pytest.mark.parametrize(
    "submit",
    [
        lambda aio, fd: aio.submit_read(fd, bytearray(8)),
        lambda aio, fd: aio.submit_write(fd, b"x"),
        lambda aio, fd: aio.submit_fdsync(fd),
    ],
)
async def test_closed_descriptor_is_refused_at_submission_and_frees_the_slot(
    aio: AioContext, submit: Callable[[AioContext, int], object]
) -> None:
    closed = os.dup(0)
    os.close(closed)
    for _ in range(10):
        with pytest.raises(OSError, match="io_submit") as caught:
            submit(aio, closed)
        assert caught.value.errno == errno.EBADF


async def test_write_to_a_file_that_is_open_for_reading_is_ebadf(
    aio: AioContext, tmp_path: Path
) -> None:
    (tmp_path / "file").write_bytes(b"x")
    fd = os.open(tmp_path / "file", os.O_RDONLY)
    try:
        with pytest.raises(OSError, match="io_submit") as caught:
            aio.submit_write(fd, b"y")
        assert caught.value.errno == errno.EBADF
    finally:
        os.close(fd)


async def test_what_is_not_ready_is_the_errno_of_the_completion(aio: AioContext) -> None:
    fd = os.eventfd(0, os.EFD_NONBLOCK)
    try:
        operation = aio.submit_read(fd, bytearray(8))
        with pytest.raises(BlockingIOError):
            await operation.wait()
        assert operation.done
        assert operation.errno == errno.EAGAIN
    finally:
        os.close(fd)


async def test_result_can_be_asked_for_again(aio: AioContext, fd: int) -> None:
    operation = aio.submit_write(fd, b"xyz")
    assert await operation.wait() == 3
    assert operation.result() == 3
    assert await operation.wait() == 3
    assert operation.errno == 0


async def test_closed_context_refuses_everything_and_forgets_nothing(fd: int) -> None:
    aio = open_aio(2)
    operation = aio.submit_write(fd, b"x")
    await operation.wait()
    await aio.aclose()
    await aio.aclose()
    assert operation.result() == 1
    with pytest.raises(trio.ClosedResourceError):
        aio.submit_write(fd, b"x")
    with pytest.raises(trio.ClosedResourceError):
        aio.reap()


async def test_closing_waits_for_a_sync_in_flight(fd: int) -> None:
    aio = open_aio(2)
    os.pwrite(fd, bytes(1 << 20), 0)
    operation = aio.submit_fdsync(fd)
    await aio.aclose()
    assert operation.result() == 0


async def test_forgotten_context_stays_until_it_is_closed() -> None:
    alive = weakref.ref(open_aio(1))
    gc.collect()
    forgotten = alive()
    assert forgotten is not None
    assert forgotten in aio_module._open_contexts
    await forgotten.aclose()
    assert forgotten not in aio_module._open_contexts


async def test_contexts_leave_no_descriptor_behind(fd: int) -> None:
    before = os.listdir("/proc/self/fd")  # noqa: PTH208 - counted, not read
    for _ in range(5):
        aio = open_aio(3)
        await aio.submit_write(fd, b"x").wait()
        await aio.aclose()
    assert len(os.listdir("/proc/self/fd")) == len(before)  # noqa: PTH208


async def test_no_context_and_no_descriptor_is_left_when_the_kernel_has_no_room() -> None:
    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208
    with pytest.raises(OSError, match="io_setup"):
        open_aio(0)
    assert len(os.listdir("/proc/self/fd")) == before  # noqa: PTH208
