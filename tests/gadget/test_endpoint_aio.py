"""FunctionFS endpoints over a fake AIO kernel: order, errors, packets, what is in flight."""

import os
import struct
from collections.abc import AsyncIterator
from dataclasses import dataclass
from errno import EAGAIN, ECONNRESET, EIO, ENODEV, ESHUTDOWN
from pathlib import Path

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from gadget import endpoint_aio
from gadget.aio import open_aio
from gadget.aio_abi import IOCB_CMD_PREAD, IOCB_CMD_PWRITE
from gadget.endpoint_aio import AioInEndpoint, AioOutEndpoint
from tests.fakes.aio_kernel import AioKernel, Transfer


@dataclass(kw_only=True)
class _Board:
    """The fake kernel with one endpoint of each direction."""

    kernel: AioKernel
    out_fd: int
    in_fd: int
    out_endpoint: AioOutEndpoint
    in_endpoint: AioInEndpoint
    packet_bytes: int = 512

    @property
    def reads(self) -> list[Transfer]:
        return [each for each in self.kernel.in_flight if each.opcode == IOCB_CMD_PREAD]

    @property
    def writes(self) -> list[Transfer]:
        return [each for each in self.kernel.in_flight if each.opcode == IOCB_CMD_PWRITE]

    def arrive(self, data: bytes) -> None:
        self.kernel.arrive(self.out_fd, data)

    def describe(self, fd: int, request: int, data: bytes) -> bytes:
        assert (fd, request, len(data)) == (self.in_fd, 0x80096782, 9)
        return struct.pack("<4BHBBB", 7, 5, 0x81, 2, self.packet_bytes, 0, 0, 0)


@pytest.fixture
async def board(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[_Board]:
    kernel = AioKernel()
    kernel.install(monkeypatch)
    out_fd, in_fd = (os.open(tmp_path / name, os.O_RDWR | os.O_CREAT) for name in ("ep2", "ep1"))
    board = _Board(
        kernel=kernel,
        out_fd=out_fd,
        in_fd=in_fd,
        out_endpoint=AioOutEndpoint(out_fd, open_aio(2), buffers=2),
        in_endpoint=AioInEndpoint(in_fd, open_aio(3), writes=3),
    )
    monkeypatch.setattr(endpoint_aio, "ioctl", board.describe)
    yield board
    await board.out_endpoint.aclose()
    await board.in_endpoint.aclose()


async def _cancelled_receive(board: _Board) -> None:
    with trio.move_on_after(0) as scope:
        await board.out_endpoint.receive()
    assert scope.cancelled_caught


async def test_two_reads_wait_in_the_kernel_for_the_host(board: _Board) -> None:
    await _cancelled_receive(board)
    assert [read.size for read in board.reads] == [16384, 16384]


async def test_data_comes_in_the_order_of_submission(board: _Board) -> None:
    await _cancelled_receive(board)
    first, second = board.reads
    # The second read ends first: its completion waits for its turn.
    board.kernel.finish(second, 2)
    await _cancelled_receive(board)
    board.kernel.finish(first, 1)
    assert len(await board.out_endpoint.receive()) == 1
    assert len(await board.out_endpoint.receive()) == 2


async def test_returned_data_does_not_change_when_its_buffer_is_used_again(board: _Board) -> None:
    received = []
    for number in range(6):
        board.arrive(bytes([number]) * 100)
        received.append(await board.out_endpoint.receive())
    assert received == [bytes([number]) * 100 for number in range(6)]


async def test_zero_length_transfer_is_passed_over(board: _Board) -> None:
    for data in (b"", b"", b"", b"data"):
        board.arrive(data)
    assert await board.out_endpoint.receive() == b"data"


async def test_cancelled_receive_cancels_nothing_in_the_kernel(board: _Board) -> None:
    for _ in range(5):
        await _cancelled_receive(board)
    assert [read.was_cancelled for read in board.reads] == [False, False]


async def test_disabled_endpoint_is_eagain_every_time(board: _Board) -> None:
    board.kernel.disabled_errno = EAGAIN
    for _ in range(3):
        with pytest.raises(BlockingIOError):
            await board.out_endpoint.receive()
        with pytest.raises(BlockingIOError):
            await board.in_endpoint.send(b"x")
    board.kernel.disabled_errno = 0
    board.arrive(b"enabled")
    assert await board.out_endpoint.receive() == b"enabled"
    await board.in_endpoint.send(b"x")
    assert board.kernel.fetch(board.in_fd) == b"x"


async def test_usb_loss_ends_a_waiting_receive_with_eshutdown(board: _Board) -> None:
    async def receive() -> None:
        with pytest.raises(OSError, match="Cannot send after transport") as caught:
            await board.out_endpoint.receive()
        assert caught.value.errno == ESHUTDOWN

    async with trio.open_nursery() as nursery:
        nursery.start_soon(receive)
        await wait_all_tasks_blocked()
        board.kernel.finish_all(-ESHUTDOWN)
    board.arrive(b"next session")
    assert await board.out_endpoint.receive() == b"next session"


async def test_usb_loss_while_nobody_received_is_no_error_of_the_next_session(
    board: _Board,
) -> None:
    await _cancelled_receive(board)
    board.kernel.finish_all(-ESHUTDOWN)
    board.arrive(b"next session")
    assert await board.out_endpoint.receive() == b"next session"


async def test_data_from_before_the_loss_is_delivered_first(board: _Board) -> None:
    await _cancelled_receive(board)
    board.arrive(b"before")
    board.kernel.finish_all(-ESHUTDOWN)
    assert await board.out_endpoint.receive() == b"before"
    board.arrive(b"after")
    assert await board.out_endpoint.receive() == b"after"


async def test_host_that_never_stops_sending_lets_other_tasks_run(board: _Board) -> None:
    turns = 0

    async def other() -> None:
        nonlocal turns
        while turns < 100:
            turns += 1
            await trio.lowlevel.checkpoint()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(other)
        board.arrive(b"x")
        for _ in range(50):
            board.arrive(b"x")
            assert await board.out_endpoint.receive() == b"x"
        assert turns > 40


async def test_second_receiver_cannot_take_what_the_first_was_woken_for(board: _Board) -> None:
    received = []

    async def receive() -> None:
        received.append(await board.out_endpoint.receive())

    async with trio.open_nursery() as nursery:
        nursery.start_soon(receive)
        await wait_all_tasks_blocked()
        board.arrive(b"for the first")
        with pytest.raises(trio.BusyResourceError):
            await board.out_endpoint.receive()
    assert received == [b"for the first"]


async def test_second_sender_cannot_get_into_the_frame_of_the_first(board: _Board) -> None:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(board.in_endpoint.send, bytes(65_000))
        await wait_all_tasks_blocked()
        board.kernel.fetch(board.in_fd)
        with pytest.raises(trio.BusyResourceError):
            await board.in_endpoint.send(b"x")
    assert [write.size for write in board.writes] == [16384, 16384, 15848]


async def test_empty_frame_is_no_empty_packet(board: _Board) -> None:
    await board.in_endpoint.send(b"")
    assert board.writes == []


async def test_small_frame_is_handed_over_without_waiting(board: _Board) -> None:
    await board.in_endpoint.send(b"accept")
    await board.in_endpoint.send(b"response")
    assert [write.size for write in board.writes] == [6, 8]


async def test_send_waits_while_the_limit_is_in_flight(board: _Board) -> None:
    for _ in range(3):
        await board.in_endpoint.send(b"x")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(board.in_endpoint.send, b"fourth")
        await wait_all_tasks_blocked()
        assert len(board.writes) == 3
        board.kernel.fetch(board.in_fd)
    assert [write.size for write in board.writes] == [1, 1, 6]


async def test_large_frame_goes_in_pieces_of_a_transfer(board: _Board) -> None:
    await board.in_endpoint.send(bytes(40_000))
    assert [write.size for write in board.writes] == [16384, 16384, 7232]


@pytest.mark.parametrize(
    ("packet_bytes", "size", "sizes"),
    [
        (512, 511, [511]),
        (512, 512, [512, 0]),
        (512, 64, [64]),
        (512, 16384, [16384, 0]),
        (64, 64, [64, 0]),
        (64, 63, [63]),
        (64, 448, [448, 0]),
        (1024, 512, [512]),
    ],
)
async def test_frame_that_ends_on_a_packet_is_followed_by_an_empty_one(
    board: _Board, packet_bytes: int, size: int, sizes: list[int]
) -> None:
    board.packet_bytes = packet_bytes
    await board.in_endpoint.send(bytes(size))
    assert [write.size for write in board.writes] == sizes


async def test_cancelled_send_leaves_what_it_handed_over(board: _Board) -> None:
    with trio.move_on_after(0.001) as scope:
        await board.in_endpoint.send(bytes(100_000))
    assert scope.cancelled_caught
    assert [(write.size, write.was_cancelled) for write in board.writes] == [(16384, False)] * 3
    board.kernel.finish_all(16384)
    await board.in_endpoint.send(b"next")
    assert [write.size for write in board.writes] == [4]


async def test_cancelled_task_sends_nothing(board: _Board) -> None:
    with trio.CancelScope() as scope:
        scope.cancel()
        await board.in_endpoint.send(b"x")
    assert scope.cancelled_caught
    assert board.writes == []


async def test_frames_lost_with_usb_are_no_error_of_the_next_session(board: _Board) -> None:
    for _ in range(3):
        await board.in_endpoint.send(b"x")
    board.kernel.finish_all(-ESHUTDOWN)
    await board.in_endpoint.send(b"next session")
    assert board.kernel.fetch(board.in_fd) == b"next session"


async def test_usb_loss_frees_a_waiting_send(board: _Board) -> None:
    for _ in range(3):
        await board.in_endpoint.send(b"x")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(board.in_endpoint.send, b"fourth")
        await wait_all_tasks_blocked()
        board.kernel.finish_all(-ESHUTDOWN)
    assert [write.size for write in board.writes] == [6]


@pytest.mark.parametrize("number", [EIO, ENODEV, ECONNRESET])
async def test_other_failure_of_a_frame_is_raised_once_by_a_later_send(
    board: _Board, number: int
) -> None:
    await board.in_endpoint.send(b"lost")
    board.kernel.finish_all(-number)
    await board.in_endpoint.send(b"second")
    with pytest.raises(OSError, match=os.strerror(number)):
        await board.in_endpoint.send(b"never sent")
    assert [write.size for write in board.writes] == [6]
    await board.in_endpoint.send(b"fine")
    assert [write.size for write in board.writes] == [6, 4]


async def test_failure_is_raised_by_the_send_that_waits_for_room(board: _Board) -> None:
    async def send() -> None:
        with pytest.raises(OSError, match="Input/output error"):
            await board.in_endpoint.send(b"never sent")

    for _ in range(3):
        await board.in_endpoint.send(b"x")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(send)
        await wait_all_tasks_blocked()
        board.kernel.finish(board.writes[0], -EIO)
    assert len(board.writes) == 2


async def test_close_cancels_transfers_and_closes_files(board: _Board) -> None:
    await _cancelled_receive(board)
    await board.in_endpoint.send(b"x")
    await board.out_endpoint.aclose()
    await board.in_endpoint.aclose()
    assert board.kernel.in_flight == []
    assert len(board.kernel.destroyed) == 2
    for fd in (board.out_fd, board.in_fd):
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.fstat(fd)
