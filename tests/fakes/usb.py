"""A USB bus with boards on it, in memory, down to libusb's transfer structures.

`host.usb_stream.UsbStream` runs on it unchanged; both ends pass tests/contract_stream.py, as the
real one does on dummy_hcd (tests/kernel/test_host_usb.py). Data moves in packets, so that a missing
zero-length packet is as fatal here as on the bus.
"""

import ctypes
import os
from collections import deque
from collections.abc import Callable
from typing import Final

import trio

from broker.contract import PRODUCT
from host.errors import DeviceBusy, DeviceGone, HostError, NoPermission
from host.libusb_abi import (
    FLAG_ADD_ZERO_PACKET,
    LibusbError,
    TransferCallback,
    TransferStatus,
    TransferStruct,
)
from host.usb_stream import ClaimedInterface

__all__ = ["FakeInterface", "FakeLibusb", "FakeUsb", "FakeUsbBoard", "ready_reply"]

PACKET_BYTES: Final = 512
READ_BYTES: Final = 16 * 1024
READS_AHEAD: Final = 2
_ENDPOINT_IN: Final = 0x81
_ENDPOINT_OUT: Final = 0x02
_POLLIN: Final = 1


def ready_reply(*, magic: bytes = b"TZSG", version: int = 1, ready: int = 1) -> bytes:
    return magic + version.to_bytes(2, "little") + bytes([ready, 0])


class FakeLibusb:
    """One libusb context with one claimed interface. Implements `host.libusb_abi.UsbLibrary`."""

    def __init__(self, interface: "FakeInterface") -> None:
        self.interface = interface
        self.allocated: dict[int, TransferStruct] = {}
        self.in_flight: list[int] = []
        self.is_wedged = False  # cancelled transfers never come back
        self.events_error = LibusbError.SUCCESS
        self._completed: deque[int] = deque()
        self._removed: Callable[[int], None] = lambda _: None
        self.poll_fd, self._poll_write = os.pipe()
        os.set_blocking(self.poll_fd, False)

    def alloc_transfer(self) -> int:
        struct = TransferStruct()
        address = ctypes.addressof(struct)
        self.allocated[address] = struct
        return address

    def free_transfer(self, transfer: int) -> None:
        assert transfer not in self.in_flight, "a transfer was freed in flight"
        del self.allocated[transfer]

    def submit_transfer(self, transfer: int) -> int:
        assert transfer not in self.in_flight, "a transfer was submitted twice"
        error = self.interface.submit_error
        if error != LibusbError.SUCCESS:
            return error
        self.in_flight.append(transfer)
        struct = self.allocated[transfer]
        struct.actual_length = 0
        self.interface.submit(transfer, struct)
        return LibusbError.SUCCESS

    def cancel_transfer(self, transfer: int) -> int:
        if transfer not in self.in_flight or transfer in self._completed:
            return LibusbError.NOT_FOUND
        if not self.is_wedged:
            self.interface.withdraw(transfer)
            self.complete(transfer, TransferStatus.CANCELLED)
        return LibusbError.SUCCESS

    def handle_events(self) -> int:
        if self.events_error != LibusbError.SUCCESS:
            return self.events_error
        os.read(self.poll_fd, 4096)
        while self._completed:
            transfer = self._completed.popleft()
            self.in_flight.remove(transfer)
            TransferCallback(self.allocated[transfer].callback or 0)(transfer)
        return LibusbError.SUCCESS

    def watch_poll_fds(
        self, added: Callable[[int, int], None], removed: Callable[[int], None]
    ) -> None:
        added(self.poll_fd, _POLLIN)
        self._removed = removed

    def remove_poll_fd(self) -> None:
        self._removed(self.poll_fd)

    def complete(self, transfer: int, status: TransferStatus) -> None:
        self.allocated[transfer].status = status
        self._completed.append(transfer)
        self.wake()

    def wake(self) -> None:
        """Makes the descriptor readable, with or without a completion."""
        os.write(self._poll_write, b"x")

    def close(self) -> None:
        assert not self.allocated or self.is_wedged, "transfers were not freed"
        os.close(self.poll_fd)
        os.close(self._poll_write)


class FakeInterface:
    """Two endpoints. The host's side is transfers; the board's side is a `ByteStream`."""

    def __init__(self) -> None:
        self.library: FakeLibusb | None = None
        self.submit_error = LibusbError.SUCCESS
        self.is_reading = True  # False: the board takes nothing from the bus
        self._out: deque[tuple[int, TransferStruct]] = deque()
        self._in: deque[tuple[int, TransferStruct]] = deque()
        self._to_host: deque[bytes] = deque()
        self._read = bytearray()
        self._received: deque[bytes] = deque()
        self._changed = trio.lowlevel.ParkingLot()
        self._is_closed = False

    # The host's side.

    def submit(self, transfer: int, struct: TransferStruct) -> None:
        (self._in if struct.endpoint & 0x80 else self._out).append((transfer, struct))
        self._move()

    def withdraw(self, transfer: int) -> None:
        self._out = deque(item for item in self._out if item[0] != transfer)
        self._in = deque(item for item in self._in if item[0] != transfer)

    def fail(self, status: TransferStatus, *, incoming: bool) -> None:
        """Ends the oldest transfer in one direction with this status."""
        self._complete(self._in if incoming else self._out, status)

    def leave(self) -> None:
        """The board leaves the bus."""
        self.submit_error = LibusbError.NO_DEVICE
        for queue in (self._in, self._out):
            while queue:
                self._complete(queue, TransferStatus.NO_DEVICE)
        self._to_host.clear()
        self._received.clear()
        self._read.clear()
        self._changed.unpark_all()

    def come_back(self) -> None:
        self.submit_error = LibusbError.SUCCESS

    # The board's side.

    async def receive(self) -> bytes:
        await trio.lowlevel.checkpoint_if_cancelled()
        while True:
            self._check_open()
            if self._received:
                data = self._received.popleft()
                self._move()
                return data
            await self._changed.park()

    async def send(self, data: bytes) -> None:
        """Returns once the host has taken it, or has left."""
        await trio.lowlevel.checkpoint()
        self.put(data)
        while self._to_host:
            self._check_open()
            await self._changed.park()
        self._check_open()

    async def aclose(self) -> None:
        self._is_closed = True
        self._changed.unpark_all()
        await trio.lowlevel.checkpoint()

    def put(self, data: bytes) -> None:
        """Queues data for the host, whether it is there or not."""
        self._check_open()
        if data:
            for start in range(0, len(data) + 1, PACKET_BYTES):
                self._to_host.append(data[start : start + PACKET_BYTES])
            self._move()

    def _check_open(self) -> None:
        if self._is_closed:
            raise trio.ClosedResourceError("the board's side is closed")

    def _move(self) -> None:
        while self._in and self._to_host:
            self._move_in(self._to_host.popleft())
        while self._out and self.is_reading and len(self._received) < READS_AHEAD:
            self._move_out()
        self._changed.unpark_all()

    def _move_in(self, packet: bytes) -> None:
        _, struct = self._in[0]
        assert struct.length % PACKET_BYTES == 0, "an in transfer can overflow"
        ctypes.memmove((struct.buffer or 0) + struct.actual_length, packet, len(packet))
        struct.actual_length += len(packet)
        if len(packet) < PACKET_BYTES or struct.actual_length == struct.length:
            self._complete(self._in, TransferStatus.COMPLETED)

    def _move_out(self) -> None:
        _, struct = self._out[0]
        size = min(PACKET_BYTES, struct.length - struct.actual_length)
        self._read += ctypes.string_at((struct.buffer or 0) + struct.actual_length, size)
        struct.actual_length += size
        is_last = struct.actual_length == struct.length
        adds_zero = struct.flags & FLAG_ADD_ZERO_PACKET and struct.length % PACKET_BYTES == 0
        is_short = size < PACKET_BYTES or (is_last and adds_zero)
        if is_short or len(self._read) == READ_BYTES:
            if self._read:
                self._received.append(bytes(self._read))
            self._read.clear()
        if is_last:
            self._complete(self._out, TransferStatus.COMPLETED)

    def _complete(self, queue: deque[tuple[int, TransferStruct]], status: TransferStatus) -> None:
        assert self.library is not None
        transfer, _ = queue.popleft()
        self.library.complete(transfer, status)


class FakeUsbBoard:
    """A board on the bus: closed, open and claimed in one. `error` is raised by everything."""

    def __init__(self, serial: str = "board-1", *, bus: int = 1, address: int = 2) -> None:
        self.serial = serial
        self.bus_number = bus
        self.address = address
        self.ready = ready_reply()
        self.ready_error: HostError | None = None
        self.open_error: HostError | None = None
        self.interfaces = (FakeInterface(), FakeInterface())
        self.opened = 0
        self.claims = 0
        self.resets = 0
        self.bus: FakeUsb | None = None

    @property
    def port_path(self) -> str:
        return f"{self.bus_number}-{self.address}"

    def forbid(self) -> None:
        self.open_error = NoPermission("no permission: install the udev rule")

    def open(self) -> "FakeUsbBoard":
        if self.open_error is not None:
            raise self.open_error
        self.opened += 1
        return self

    def close(self) -> None:
        self.opened -= 1
        assert self.opened >= 0

    def reset(self) -> None:
        self.resets += 1

    def read_product(self) -> str:
        return PRODUCT

    def read_serial(self) -> str:
        return self.serial

    def ask_ready(self, interface: int) -> bytes:
        assert interface in (0, 1)
        if self.ready_error is not None:
            raise self.ready_error
        return self.ready

    def claim(self, interface: int) -> ClaimedInterface:
        endpoints = self.interfaces[interface]
        if endpoints.library is not None:
            raise DeviceBusy(f"interface {interface} is in use by another tezsign")
        library = endpoints.library = FakeLibusb(endpoints)
        self.claims += 1

        async def release() -> None:
            endpoints.library = None
            library.close()
            self.close()
            if self.bus is not None:
                self.bus.close()

        return ClaimedInterface(
            library=library,
            poll_fd=library.poll_fd,
            handle=1,
            endpoint_in=_ENDPOINT_IN,
            endpoint_out=_ENDPOINT_OUT,
            packet_bytes=PACKET_BYTES,
            release=release,
        )


class FakeUsb:
    """The machine's USB: `open_bus` stands in for `host.usb.open_bus`."""

    def __init__(self, *boards: FakeUsbBoard) -> None:
        self.boards = list(boards)
        for board in boards:
            board.bus = self
        self.open_buses = 0

    def open_bus(self) -> "FakeUsb":
        self.open_buses += 1
        return self

    def find_boards(self) -> tuple[FakeUsbBoard, ...]:
        return tuple(self.boards)

    def close(self) -> None:
        self.open_buses -= 1

    def unplug(self, board: FakeUsbBoard) -> None:
        self.boards.remove(board)
        for interface in board.interfaces:
            interface.leave()
        board.open_error = DeviceGone("the board left")

    def plug(self, board: FakeUsbBoard) -> None:
        """On the bus again, as a new device: with another address."""
        board.address += 1
        board.open_error = None
        for interface in board.interfaces:
            interface.come_back()
        self.boards.append(board)
