"""AIO on trio where transfers take as long as the test likes: waits, cancels, closing."""

import contextlib
import os
from errno import ECONNRESET, EIO

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from gadget.aio import AioContext, open_aio
from gadget.errors import SlotsInUseError
from tests.fakes.aio_kernel import AioKernel

_FD = 99


@pytest.fixture
def kernel(monkeypatch: pytest.MonkeyPatch) -> AioKernel:
    kernel = AioKernel()
    kernel.install(monkeypatch)
    return kernel


@pytest.fixture
def aio(kernel: AioKernel) -> AioContext:
    return open_aio(3)


async def test_wait_returns_when_the_transfer_ends(kernel: AioKernel, aio: AioContext) -> None:
    buffer = bytearray(16)
    operation = aio.submit_read(_FD, buffer)
    async with trio.open_nursery() as nursery:

        @nursery.start_soon
        async def _wait() -> None:
            assert await operation.wait() == 5

        await wait_all_tasks_blocked()
        assert not operation.done
        with pytest.raises(trio.WouldBlock):
            operation.result()
        kernel.arrive(_FD, b"hello")
    assert buffer[:5] == b"hello"
    await aio.aclose()


async def test_cancelled_wait_leaves_the_transfer_and_a_later_wait_takes_it(
    kernel: AioKernel, aio: AioContext
) -> None:
    buffer = bytearray(16)
    operation = aio.submit_read(_FD, buffer)
    for _ in range(3):
        with trio.move_on_after(0) as scope:
            await operation.wait()
        assert scope.cancelled_caught
    assert not kernel.in_flight[0].was_cancelled
    kernel.arrive(_FD, b"late")
    assert await operation.wait() == 4
    assert buffer[:4] == b"late"
    await aio.aclose()


async def test_cancelled_wait_for_a_finished_transfer_keeps_the_result(
    kernel: AioKernel, aio: AioContext
) -> None:
    operation = aio.submit_read(_FD, bytearray(16))
    kernel.arrive(_FD, b"abc")
    with trio.CancelScope() as scope:
        scope.cancel()
        await operation.wait()
    assert scope.cancelled_caught
    assert operation.result() == 3
    await aio.aclose()


async def test_second_waiter_is_refused_and_the_slot_stays_the_first_ones(
    kernel: AioKernel,
) -> None:
    aio = open_aio(1)
    operation = aio.submit_write(_FD, b"x")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(operation.wait)
        await wait_all_tasks_blocked()
        with pytest.raises(trio.BusyResourceError):
            await operation.wait()
        kernel.finish_all(1)
        with pytest.raises(SlotsInUseError):
            aio.submit_write(_FD, b"x")
    await aio.aclose()


async def test_each_waiter_gets_its_own_result_in_any_order(
    kernel: AioKernel, aio: AioContext
) -> None:
    results: dict[int, int] = {}

    async def write(size: int) -> None:
        results[size] = await aio.submit_write(_FD, bytes(size)).wait()

    async with trio.open_nursery() as nursery:
        for size in (1, 2, 3):
            nursery.start_soon(write, size)
        await wait_all_tasks_blocked()
        for transfer in sorted(kernel.in_flight, key=lambda each: -each.size):
            kernel.finish(transfer, transfer.size * 10)
            await wait_all_tasks_blocked()
    assert list(results) == [3, 2, 1]
    assert results == {1: 10, 2: 20, 3: 30}
    await aio.aclose()


async def test_completion_that_another_task_took_does_not_end_the_next_wait(
    kernel: AioKernel,
) -> None:
    aio = open_aio(1)
    first = aio.submit_write(_FD, b"1")
    kernel.finish_all(1)
    aio.reap()
    assert first.done
    second = aio.submit_write(_FD, b"2")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(second.wait)
        await wait_all_tasks_blocked()
        assert not second.done
        kernel.finish_all(1)
    await aio.aclose()


async def test_slot_is_not_used_again_before_its_waiter_has_left(kernel: AioKernel) -> None:
    aio = open_aio(1)
    operation = aio.submit_write(_FD, b"1")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(operation.wait)
        await wait_all_tasks_blocked()
        kernel.finish_all(1)
        aio.reap()
        with pytest.raises(SlotsInUseError):
            aio.submit_write(_FD, b"2")
    aio.submit_write(_FD, b"2")
    await aio.aclose()


async def test_more_transfers_than_slots_are_refused_until_one_ends(
    kernel: AioKernel, aio: AioContext
) -> None:
    for _ in range(3):
        aio.submit_write(_FD, b"x")
    with pytest.raises(SlotsInUseError, match="3 AIO slots"):
        aio.submit_write(_FD, b"x")
    kernel.finish(kernel.in_flight[1], 1)
    aio.submit_write(_FD, b"x")
    await aio.aclose()


async def test_cancelled_transfer_ends_by_its_completion(
    kernel: AioKernel, aio: AioContext
) -> None:
    operation = aio.submit_read(_FD, bytearray(16))
    operation.cancel()
    assert not operation.done
    with pytest.raises(ConnectionResetError) as caught:
        await operation.wait()
    assert caught.value.errno == ECONNRESET
    operation.cancel()
    await aio.aclose()


async def test_transfer_that_ends_before_its_cancel_keeps_its_data(
    kernel: AioKernel, aio: AioContext
) -> None:
    operation = aio.submit_read(_FD, bytearray(16))
    kernel.arrive(_FD, b"data")
    operation.cancel()
    assert await operation.wait() == 4
    await aio.aclose()


async def test_error_of_a_transfer_is_raised_by_its_wait(
    kernel: AioKernel, aio: AioContext
) -> None:
    operation = aio.submit_write(_FD, b"x")
    kernel.finish_all(-EIO)
    with pytest.raises(OSError, match="Input/output error"):
        await operation.wait()
    assert operation.errno == EIO
    await aio.aclose()


async def test_closing_cancels_what_is_in_flight_and_tells_the_waiter(
    kernel: AioKernel, aio: AioContext
) -> None:
    waited = aio.submit_read(_FD, bytearray(16))
    alone = aio.submit_write(_FD, b"x")

    async def wait() -> None:
        with pytest.raises(trio.ClosedResourceError):
            await waited.wait()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(wait)
        await wait_all_tasks_blocked()
        await aio.aclose()
    assert (waited.errno, alone.errno) == (ECONNRESET, ECONNRESET)
    assert len(kernel.destroyed) == 1


@pytest.mark.parametrize("has_ended", [True, False])
@pytest.mark.parametrize("turn", range(8))  # which of the two tasks runs first is left to trio
async def test_closing_is_not_disturbed_by_a_waiter_that_wakes_in_the_same_moment(
    kernel: AioKernel, aio: AioContext, turn: int, has_ended: bool
) -> None:
    operation = aio.submit_read(_FD, bytearray(16))
    signal = os.eventfd(0)

    async def wait() -> None:
        with contextlib.suppress(trio.ClosedResourceError):
            await operation.wait()

    async def close() -> None:
        await trio.lowlevel.wait_readable(signal)
        with trio.fail_after(1):
            await aio.aclose()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(wait)
        nursery.start_soon(close)
        await wait_all_tasks_blocked()
        # Both wake in one pass: by a completion, or by a count that was left over.
        if has_ended:
            kernel.finish_all(4)
        else:
            os.eventfd_write(kernel.in_flight[0].eventfd, 1)
        os.eventfd_write(signal, 1)
    assert operation.done
    os.close(signal)


async def test_closing_is_not_cut_short_by_a_cancel(kernel: AioKernel, aio: AioContext) -> None:
    operation = aio.submit_read(_FD, bytearray(16))
    with trio.CancelScope() as scope:
        scope.cancel()
        await aio.aclose()
    assert operation.done
    assert len(kernel.destroyed) == 1


async def test_thousand_cancelled_waits_leave_nothing_behind(
    kernel: AioKernel, aio: AioContext
) -> None:
    operation = aio.submit_read(_FD, bytearray(16))
    tasks = trio.lowlevel.current_statistics().tasks_living
    for _ in range(1000):
        with trio.move_on_after(0):
            await operation.wait()
    assert trio.lowlevel.current_statistics().tasks_living == tasks
    assert len(kernel.in_flight) == 1
    kernel.arrive(_FD, b"data")
    assert await operation.wait() == 4
    await aio.aclose()
