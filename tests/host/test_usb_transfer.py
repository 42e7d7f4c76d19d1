"""Who leads and who follows among the tasks that wait; what is kept in memory until when."""

import ctypes
import errno
import gc
import os
import sys
import weakref
from collections.abc import Iterator

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from host.libusb_abi import LibusbError, TransferStatus
from host.usb_transfer import BulkTransfer, PollSet, UsbEvents
from tests.fakes.usb import FakeInterface, FakeLibusb

ENDPOINT_OUT = 2


class Bench:
    """A fake libusb whose board takes nothing by itself; `finish` ends a transfer."""

    def __init__(self) -> None:
        self.interface = FakeInterface()
        self.interface.is_reading = False
        self.library = self.interface.library = FakeLibusb(self.interface)
        self.events = UsbEvents(self.library, self.library.poll_fd)
        self.transfers: list[BulkTransfer] = []

    def submit(self, data: bytes = b"data") -> BulkTransfer:
        transfer = BulkTransfer(self.events, handle=1, endpoint=ENDPOINT_OUT)
        transfer.submit(data)
        self.transfers.append(transfer)
        return transfer

    def finish(self, status: TransferStatus = TransferStatus.COMPLETED) -> None:
        """Ends the oldest transfer."""
        self.interface.fail(status, incoming=False)

    def close(self) -> None:
        while self.library.in_flight:
            self.finish()
            self.library.handle_events()
        for transfer in self.transfers:
            transfer.free()
        self.library.close()


@pytest.fixture
def bench() -> Iterator[Bench]:
    bench = Bench()
    yield bench
    bench.close()


async def test_wait_returns_at_once_where_nothing_is_in_flight(bench: Bench) -> None:
    transfer = bench.submit()
    bench.finish()
    await transfer.wait()
    await transfer.wait()
    assert not transfer.in_flight


async def test_every_waiter_is_woken_whoever_leads(bench: Bench) -> None:
    done: list[int] = []

    async def wait(number: int, transfer: BulkTransfer) -> None:
        await transfer.wait()
        done.append(number)

    async with trio.open_nursery() as nursery:
        for number in range(4):
            nursery.start_soon(wait, number, bench.submit())
            await wait_all_tasks_blocked()
        for number in range(4):  # the leader leaves first, a follower takes over each time
            bench.finish()
            await wait_all_tasks_blocked()
            assert len(done) == number + 1
    assert done == [0, 1, 2, 3]


async def test_cancelled_leader_hands_over(bench: Bench) -> None:
    first, second = bench.submit(), bench.submit()
    scope = trio.CancelScope()

    async def lead() -> None:
        with scope:
            await first.wait()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(lead)
        await wait_all_tasks_blocked()
        nursery.start_soon(second.wait)
        await wait_all_tasks_blocked()
        scope.cancel()
        await wait_all_tasks_blocked()
        assert first.in_flight
        bench.finish()
        bench.finish()
    assert not first.in_flight


async def test_successor_that_is_cancelled_at_once_hands_on(bench: Bench) -> None:
    first, second, third = bench.submit(), bench.submit(), bench.submit()
    scope = trio.CancelScope()

    async def wait_in_scope(transfer: BulkTransfer) -> None:
        with scope:
            await transfer.wait()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(first.wait)
        await wait_all_tasks_blocked()
        nursery.start_soon(wait_in_scope, second)
        await wait_all_tasks_blocked()
        nursery.start_soon(third.wait)
        await wait_all_tasks_blocked()
        bench.finish()
        await first.wait()  # its leader is waking the second now
        scope.cancel()
        await wait_all_tasks_blocked()
        bench.finish()
        bench.finish()


async def test_several_tasks_may_wait_for_one_transfer(bench: Bench) -> None:
    transfer = bench.submit()
    async with trio.open_nursery() as nursery:
        for _ in range(3):
            nursery.start_soon(transfer.wait)
        await wait_all_tasks_blocked()
        bench.finish()


async def test_wake_up_without_a_completion_changes_nothing(bench: Bench) -> None:
    transfer = bench.submit()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(transfer.wait)
        await wait_all_tasks_blocked()
        bench.library.wake()
        await wait_all_tasks_blocked()
        assert transfer.in_flight
        bench.finish()


async def test_failing_event_handling_is_an_error_and_no_busy_loop(bench: Bench) -> None:
    transfer = bench.submit()
    bench.library.events_error = LibusbError.IO
    bench.library.wake()
    with pytest.raises(OSError, match="event handling") as caught:
        await transfer.wait()
    assert caught.value.errno == errno.EIO
    bench.library.events_error = LibusbError.SUCCESS


async def test_end_of_event_handling_reaches_every_waiter(bench: Bench) -> None:
    async def raises_closed(transfer: BulkTransfer) -> None:
        with pytest.raises(trio.ClosedResourceError):
            await transfer.wait()

    async with trio.open_nursery() as nursery:
        for _ in range(3):
            nursery.start_soon(raises_closed, bench.submit())
        await wait_all_tasks_blocked()
        bench.events.close()


async def test_buffer_is_kept_until_the_callback_and_no_longer(bench: Bench) -> None:
    transfer = BulkTransfer(bench.events, handle=1, endpoint=ENDPOINT_OUT)
    bench.transfers.append(transfer)
    buffer = ctypes.create_string_buffer(64)
    alive = weakref.ref(buffer)
    transfer.submit(buffer)
    del buffer
    gc.collect()
    assert alive() is not None
    bench.finish()
    await transfer.wait()
    gc.collect()
    assert alive() is None


async def test_forgotten_transfer_is_kept_until_its_callback(bench: Bench) -> None:
    transfer = BulkTransfer(bench.events, handle=1, endpoint=ENDPOINT_OUT)
    transfer.submit(b"x")
    alive = weakref.ref(transfer)
    del transfer
    gc.collect()
    kept = alive()
    assert kept is not None
    bench.transfers.append(kept)


async def test_transfer_in_flight_cannot_be_freed(bench: Bench) -> None:
    transfer = bench.submit()
    with pytest.raises(RuntimeError, match="in flight"):
        transfer.free()


async def test_transfer_that_was_refused_can_be_submitted_again(bench: Bench) -> None:
    transfer = BulkTransfer(bench.events, handle=1, endpoint=ENDPOINT_OUT)
    bench.transfers.append(transfer)
    bench.interface.submit_error = LibusbError.NO_DEVICE
    with pytest.raises(OSError, match=os.strerror(errno.ENODEV)):
        transfer.submit(b"x")
    bench.interface.submit_error = LibusbError.SUCCESS
    transfer.submit(b"x")
    bench.finish()
    await transfer.wait()
    assert transfer.status is TransferStatus.COMPLETED


@pytest.mark.skipif(sys.platform != "linux", reason="epoll")
async def test_poll_set_follows_descriptors_that_come_and_go() -> None:
    library = FakeLibusb(FakeInterface())
    poll_set = PollSet(library)
    library.wake()
    await trio.lowlevel.wait_readable(poll_set.fd)
    library.remove_poll_fd()
    with trio.move_on_after(0.01) as scope:
        await trio.lowlevel.wait_readable(poll_set.fd)
    assert scope.cancelled_caught
    library.close()
    poll_set.close()
