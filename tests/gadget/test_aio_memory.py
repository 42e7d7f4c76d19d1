"""What the kernel may touch stays alive as long as it may, and no longer."""

import ctypes
import gc
import logging
import weakref
from itertools import pairwise

import pytest
import trio

from gadget.aio import AioContext, open_aio
from tests.fakes.aio_kernel import AioKernel

_FD = 99


class _Buffer(bytearray):
    """Can be watched for its end."""


@pytest.fixture
def kernel(monkeypatch: pytest.MonkeyPatch) -> AioKernel:
    kernel = AioKernel()
    kernel.install(monkeypatch)
    return kernel


@pytest.fixture
def aio(kernel: AioKernel) -> AioContext:
    return open_aio(3)


async def test_hardware_that_never_answers_keeps_its_memory_and_does_not_stop_us(
    kernel: AioKernel, autojump_clock: trio.abc.Clock, caplog: pytest.LogCaptureFixture
) -> None:
    kernel.cancel_works = False
    aio = open_aio(1)
    buffer = _Buffer(16)
    alive = weakref.ref(buffer)
    aio.submit_read(_FD, buffer)
    started_s = trio.current_time()
    with caplog.at_level(logging.ERROR):
        await aio.aclose()
    assert trio.current_time() - started_s == pytest.approx(0.8)
    assert [record.message for record in caplog.records] == ["transfers do not end"]
    assert kernel.destroyed == []
    del aio, buffer
    gc.collect()
    assert alive() is not None


async def test_memory_in_flight_stays_when_nobody_else_holds_it(
    kernel: AioKernel, aio: AioContext
) -> None:
    buffer = _Buffer(4096)
    alive = weakref.ref(buffer)
    aio.submit_read(_FD, buffer)
    del buffer
    gc.collect()
    assert alive() is not None
    kernel.arrive(_FD, b"y" * 4096)
    assert bytes(alive() or b"") == b"y" * 4096
    aio.reap()
    gc.collect()
    assert alive() is None
    await aio.aclose()


async def test_written_bytes_stay_when_nobody_else_holds_them(
    kernel: AioKernel, aio: AioContext
) -> None:
    aio.submit_write(_FD, bytes([7]) * 10_000)
    gc.collect()
    rubbish = [bytes([number % 256]) * 10_000 for number in range(100)]
    assert kernel.fetch(_FD) == bytes([7]) * 10_000
    del rubbish
    await aio.aclose()


async def test_buffer_in_flight_cannot_be_resized(kernel: AioKernel, aio: AioContext) -> None:
    buffer = bytearray(16)
    operation = aio.submit_read(_FD, buffer)
    with pytest.raises(BufferError):
        buffer.extend(b"x")
    kernel.arrive(_FD, b"data")
    await operation.wait()
    buffer.extend(b"x")
    await aio.aclose()


async def test_transfers_allocate_nothing_that_lasts(kernel: AioKernel, aio: AioContext) -> None:
    counts = []
    for _ in range(3):
        for _ in range(100):
            operation = aio.submit_write(_FD, b"x")
            kernel.finish_all(1)
            await operation.wait()
        del operation
        gc.collect()
        counts.append(len(gc.get_objects()))
    assert all(later - earlier < 20 for earlier, later in pairwise(counts))
    await aio.aclose()


async def test_kernel_writes_into_the_bytearray_itself(kernel: AioKernel, aio: AioContext) -> None:
    buffer = bytearray(b"before")
    aio.submit_read(_FD, buffer)
    ctypes.memmove(kernel.in_flight[0].address, b"behind", 6)
    assert buffer == b"behind"
    await aio.aclose()
