"""One claimed USB interface as a byte stream: bulk in, bulk out.

Owns the transfers and their order, the zero-length packet and the meaning of a transfer's status.
Never finds or opens anything (`host.usb`), knows no frames (`broker.frame`). Implements
`broker.stream.ByteStream`.

Two in transfers are kept in flight, so that the board's next packet never waits for us; at most 32
KiB wait unread.
"""

import contextlib
import ctypes
import errno
import logging
import os
import sys
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

import trio

from broker.errors import LinkLost
from host.libusb_abi import TransferStatus, UsbLibrary
from host.usb_transfer import BulkTransfer, UsbEvents

__all__ = ["ClaimedInterface", "UsbStream"]

logger = logging.getLogger(__name__)

_IN_TRANSFER_BYTES: Final = (
    16 * 1024
)  # a multiple of the packet size, or a full packet overflows it
_IN_TRANSFERS: Final = 2
_CANCEL_S: Final = 1.0  # usbfs gives a cancelled transfer back in milliseconds
_CLOSE_S: Final = 3.0

# A stall means that the board halted the endpoint: the session ends, the next one clears it
# (host.usb).
_ERRNO_OF_STATUS: Final = {
    TransferStatus.ERROR: errno.EIO,
    TransferStatus.TIMED_OUT: errno.ETIMEDOUT,
    TransferStatus.STALL: errno.EPIPE,
    TransferStatus.OVERFLOW: errno.EOVERFLOW,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimedInterface:
    """What a stream needs.

    `poll_fd` is readable while `library` has events. `release` gives all of it back.
    """

    library: UsbLibrary
    poll_fd: int
    handle: int
    endpoint_in: int
    endpoint_out: int
    packet_bytes: int
    release: Callable[[], Awaitable[None]]


class UsbStream:
    """Owns a claimed interface from now on; `aclose` releases it. On the trio thread only."""

    def __init__(self, claimed: ClaimedInterface) -> None:
        on_linux = sys.platform == "linux"
        self._events = events = UsbEvents(claimed.library, claimed.poll_fd)
        self._claimed = claimed
        self._is_closed = False
        self._is_receiving = False
        self._is_sending = False
        self._zero_packet_by_hand = not on_linux
        self._out = BulkTransfer(
            events,
            handle=claimed.handle,
            endpoint=claimed.endpoint_out,
            add_zero_packet=on_linux,
        )
        # in order of submission: the first one is the next to complete
        self._in: deque[BulkTransfer] = deque()
        self._in_idle = [
            BulkTransfer(events, handle=claimed.handle, endpoint=claimed.endpoint_in)
            for _ in range(_IN_TRANSFERS)
        ]
        self._buffers = {
            transfer: ctypes.create_string_buffer(_IN_TRANSFER_BYTES) for transfer in self._in_idle
        }
        with contextlib.suppress(OSError, LinkLost):  # `receive` meets it again
            self._submit_idle()

    async def receive(self) -> bytes:
        """Returns what the board sent next, 1 byte to 16 KiB.

        Raises:
            LinkLost: the board left.
            OSError: this transfer failed; `broker.errors.classify` says whether to go on.

        Cancel: loses nothing; the transfer stays in flight and the next call takes its result.
        """
        if self._is_receiving:
            raise trio.BusyResourceError("another task is receiving from this stream")
        self._is_receiving = True
        try:
            while True:
                self._check_open()
                self._submit_idle()
                await self._in[0].wait()
                self._check_open()
                transfer = self._in.popleft()
                self._in_idle.append(transfer)
                if data := transfer.received():
                    return data  # a failure that came with it will come again
                _check_status(transfer)
                # a zero-length packet: it ended a transfer of the board's, and carries nothing
        finally:
            self._is_receiving = False

    async def send(self, data: bytes) -> None:
        """Sends all of `data` as one USB transfer, ended by a short or empty packet.

        Raises:
            LinkLost, OSError: as `receive`.

        Cancel: waits until the transfer is off the bus; the board may have got a part of it.
        """
        self._check_open()
        if self._is_sending:
            raise trio.BusyResourceError("another task is sending to this stream")
        if not data:
            await trio.lowlevel.checkpoint()
            return
        self._is_sending = True
        try:
            await self._send_part(data)
            if self._zero_packet_by_hand and len(data) % self._claimed.packet_bytes == 0:
                await self._send_part(b"")
        finally:
            self._is_sending = False

    async def aclose(self) -> None:
        """Cancels every transfer, waits for them, gives the interface back. Can be called again."""
        if self._is_closed:
            return
        self._is_closed = True
        transfers = (*self._in, *self._in_idle, self._out)
        with trio.CancelScope(shield=True) as scope, contextlib.suppress(OSError):
            scope.deadline = trio.current_time() + _CANCEL_S
            for transfer in transfers:
                transfer.cancel()
            for transfer in transfers:
                await transfer.wait()
        stuck = [transfer for transfer in transfers if transfer.in_flight]
        if stuck:
            logger.error("usb transfers never came back", extra={"transfers": len(stuck)})
        self._events.close()
        for transfer in transfers:  # before their handle goes: libusb looks at it
            if transfer not in stuck:
                transfer.free()
        with trio.CancelScope(shield=True) as scope:
            scope.deadline = trio.current_time() + _CLOSE_S
            await self._claimed.release()

    async def _send_part(self, data: bytes) -> None:
        if self._out.in_flight:
            raise LinkLost("a cancelled USB transfer did not come back")
        _submit(self._out, data)
        try:
            await self._out.wait()
        except trio.Cancelled:
            self._out.cancel()
            with trio.CancelScope(shield=True) as scope:
                scope.deadline = trio.current_time() + _CANCEL_S
                await self._out.wait()
            raise
        self._check_open()
        _check_status(self._out)
        if self._out.actual_length != len(data):
            raise OSError(errno.EIO, os.strerror(errno.EIO))

    def _submit_idle(self) -> None:
        """Keeps both in transfers in flight. A failure matters once no earlier transfer is left."""
        while self._in_idle:
            transfer = self._in_idle[-1]
            try:
                _submit(transfer, self._buffers[transfer])
            except (OSError, LinkLost):
                if self._in:
                    return
                raise
            self._in.append(self._in_idle.pop())

    def _check_open(self) -> None:
        if self._is_closed:
            raise trio.ClosedResourceError("this USB stream was closed")


def _submit(transfer: BulkTransfer, buffer: "ctypes.Array[ctypes.c_char] | bytes") -> None:
    try:
        transfer.submit(buffer)
    except OSError as error:
        if error.errno == errno.ENODEV:
            raise LinkLost("the board left the bus") from error
        raise


def _check_status(transfer: BulkTransfer) -> None:
    status = transfer.status
    if status == TransferStatus.COMPLETED:
        return
    if status == TransferStatus.NO_DEVICE:
        raise LinkLost("the board left the bus")
    if status == TransferStatus.CANCELLED:
        raise LinkLost("the system cancelled a USB transfer")
    number = _ERRNO_OF_STATUS[status]
    raise OSError(number, os.strerror(number))
