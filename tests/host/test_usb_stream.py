"""`UsbStream` on a fake libusb; on the real one in tests/kernel/test_host_usb.py."""

import errno
import logging
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from broker.errors import LinkLost
from broker.stream import ByteStream
from host.libusb_abi import LibusbError, TransferStatus
from host.usb_stream import UsbStream
from tests.contract_stream import CHECKS, StreamCheck
from tests.fakes.usb import FakeInterface, FakeLibusb, FakeUsbBoard

IN_TRANSFERS = 2


@asynccontextmanager
async def open_pair() -> AsyncIterator[tuple[UsbStream, FakeInterface]]:
    board = FakeUsbBoard()
    stream = UsbStream(board.open().claim(0))
    try:
        yield stream, board.interfaces[0]
    finally:
        await stream.aclose()


@asynccontextmanager
async def open_reversed_pair() -> AsyncIterator[tuple[ByteStream, ByteStream]]:
    async with open_pair() as (host, board):
        yield board, host


def library_of(interface: FakeInterface) -> FakeLibusb:
    assert interface.library is not None
    return interface.library


async def fail_later(board: FakeInterface, status: TransferStatus, *, incoming: bool) -> None:
    await wait_all_tasks_blocked()
    board.fail(status, incoming=incoming)


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
async def test_stream_contract(check: StreamCheck) -> None:
    await check(open_pair)


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
async def test_fake_board_passes_the_stream_contract_too(check: StreamCheck) -> None:
    await check(open_reversed_pair)


async def test_in_transfers_wait_for_the_board_from_the_start() -> None:
    async with open_pair() as (_, board):
        assert len(library_of(board).in_flight) == IN_TRANSFERS


async def test_receive_returns_transfers_in_their_order() -> None:
    async with open_pair() as (stream, board):
        for number in range(50):
            board.put(bytes([number]))
        assert [await stream.receive() for _ in range(50)] == [bytes([n]) for n in range(50)]


async def test_zero_length_packet_of_the_board_is_no_end_of_file() -> None:
    async with open_pair() as (stream, board):
        board.put(bytes(16384))
        board.put(b"next")
        assert [await stream.receive(), await stream.receive()] == [bytes(16384), b"next"]


@pytest.mark.parametrize("size", [511, 512, 513, 1024, 16383, 16384, 16385])
async def test_zero_packet_is_sent_by_hand_where_libusb_cannot(
    size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    async with open_pair() as (stream, board):
        got = b""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(stream.send, bytes(size))
            while len(got) < size:
                got += await board.receive()
        assert got == bytes(size)


@pytest.mark.parametrize(
    ("status", "number"),
    [
        (TransferStatus.ERROR, errno.EIO),
        (TransferStatus.TIMED_OUT, errno.ETIMEDOUT),
        (TransferStatus.STALL, errno.EPIPE),
        (TransferStatus.OVERFLOW, errno.EOVERFLOW),
    ],
)
async def test_failed_transfer_raises_its_errno_and_the_next_one_works(
    status: TransferStatus, number: int
) -> None:
    async with open_pair() as (stream, board):
        board.is_reading = False
        for use, incoming in ((stream.receive, True), (partial(stream.send, b"x"), False)):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(partial(fail_later, board, status, incoming=incoming))
                with pytest.raises(OSError, match=r".") as caught:
                    await use()
            assert caught.value.errno == number
        board.is_reading = True
        await stream.send(b"again")
        assert await board.receive() == b"again"
        board.put(b"back")
        assert await stream.receive() == b"back"


@pytest.mark.parametrize("status", [TransferStatus.NO_DEVICE, TransferStatus.CANCELLED])
async def test_transfer_that_the_system_ends_ends_the_link(status: TransferStatus) -> None:
    async with open_pair() as (stream, board):
        board.is_reading = False
        for use, incoming in ((stream.receive, True), (partial(stream.send, b"x"), False)):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(partial(fail_later, board, status, incoming=incoming))
                with pytest.raises(LinkLost):
                    await use()


async def test_bytes_that_came_before_a_failure_are_delivered_first() -> None:
    async with open_pair() as (stream, board):
        board.put(b"last words")
        board.leave()
        assert await stream.receive() == b"last words"
        with pytest.raises(LinkLost):
            await stream.receive()


async def test_part_of_a_transfer_that_fails_is_delivered() -> None:
    async with open_pair() as (stream, board):
        library = library_of(board)
        first = library.allocated[library.in_flight[0]]
        board.put(bytes(511))
        first.status = TransferStatus.ERROR
        assert await stream.receive() == bytes(511)


@pytest.mark.parametrize(
    ("result", "expected"),
    [
        (LibusbError.NO_DEVICE, LinkLost),
        (LibusbError.IO, OSError),
        (LibusbError.INVALID_PARAM, OSError),
    ],
)
async def test_transfer_that_cannot_be_submitted_is_an_error(
    result: LibusbError, expected: type[Exception]
) -> None:
    async with open_pair() as (stream, board):
        board.submit_error = result
        with pytest.raises(expected):
            await stream.send(b"x")
        for _ in range(IN_TRANSFERS):
            board.put(b"x")
            assert await stream.receive() == b"x"
        with pytest.raises(expected):
            await stream.receive()
        board.submit_error = LibusbError.SUCCESS
        board.put(b"y")
        assert await stream.receive() == b"y"


async def test_board_that_left_before_the_first_receive_is_lost() -> None:
    board = FakeUsbBoard()
    claimed = board.open().claim(0)
    board.interfaces[0].leave()
    stream = UsbStream(claimed)
    with pytest.raises(LinkLost):
        await stream.receive()
    await stream.aclose()


async def test_cancelled_send_waits_for_its_transfer() -> None:
    async with open_pair() as (stream, board):
        board.is_reading = False
        with trio.move_on_after(0.01):
            await stream.send(b"never taken")
        assert len(library_of(board).in_flight) == IN_TRANSFERS
        board.is_reading = True
        await stream.send(b"next")
        assert await board.receive() == b"next"


async def test_send_whose_transfer_never_comes_back_is_given_up(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    async with open_pair() as (stream, board):
        board.is_reading = False
        library_of(board).is_wedged = True
        with trio.fail_after(10), trio.move_on_after(1):
            await stream.send(b"never taken")
        with pytest.raises(LinkLost, match="did not come back"):
            await stream.send(b"next")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(raises_closed, stream.receive)
            await wait_all_tasks_blocked()
            with trio.fail_after(10):
                await stream.aclose()
    assert [record.message for record in caplog.records] == ["usb transfers never came back"]


async def test_two_tasks_in_one_direction_are_a_bug() -> None:
    async with open_pair() as (stream, board), trio.open_nursery() as nursery:
        board.is_reading = False
        nursery.start_soon(stream.receive)
        nursery.start_soon(stream.send, b"x")
        await wait_all_tasks_blocked()
        with pytest.raises(trio.BusyResourceError):
            await stream.receive()
        with pytest.raises(trio.BusyResourceError):
            await stream.send(b"y")
        nursery.cancel_scope.cancel()


async def test_close_waits_for_every_transfer_and_frees_it() -> None:
    board = FakeUsbBoard()
    stream = UsbStream(board.open().claim(0))
    async with trio.open_nursery() as nursery:
        board.interfaces[0].is_reading = False
        for use in (stream.receive, partial(stream.send, b"x")):
            nursery.start_soon(raises_closed, use)
        await wait_all_tasks_blocked()
        library = library_of(board.interfaces[0])
        assert len(library.in_flight) == IN_TRANSFERS + 1
        await stream.aclose()
    assert not library.allocated
    assert board.opened == 0


async def raises_closed(use: Callable[[], Awaitable[object]]) -> None:
    with pytest.raises(trio.ClosedResourceError):
        await use()


async def test_close_gives_the_interface_back_although_events_fail(
    caplog: pytest.LogCaptureFixture,
) -> None:
    board = FakeUsbBoard()
    stream = UsbStream(board.open().claim(0))
    library = library_of(board.interfaces[0])
    library.events_error = LibusbError.IO
    library.is_wedged = True
    library.wake()
    await stream.aclose()
    assert board.opened == 0
    assert [record.message for record in caplog.records] == ["usb transfers never came back"]


async def test_close_works_while_it_is_cancelled() -> None:
    board = FakeUsbBoard()
    stream = UsbStream(board.open().claim(0))
    with trio.CancelScope() as scope:
        scope.cancel()
        await stream.aclose()
    assert board.opened == 0


async def test_many_cancelled_receives_leave_nothing_behind(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    async with open_pair() as (stream, board):
        for _ in range(1000):
            with trio.CancelScope() as scope:
                scope.cancel()
                await stream.receive()
        library = library_of(board)
        assert len(library.in_flight) == IN_TRANSFERS
        assert len(library.allocated) == IN_TRANSFERS + 1
        board.put(b"still there")
        assert await stream.receive() == b"still there"
    assert not caplog.records
