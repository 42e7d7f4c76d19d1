"""Endpoint files that epoll refuses: FunctionFS. Every transfer goes through `gadget.aio`.

Owns what is in flight on one endpoint file. A cancelled call leaves its transfer in the kernel, for
the next call; io_cancel happens only in `aclose`, because on dwc2 (Raspberry Pi) it can wedge the
controller. Made by `gadget.endpoints`.

Source: drivers/usb/gadget/function/f_fs.c, ffs_epfile_io. On a file opened O_NONBLOCK, a transfer
on a disabled endpoint completes at once with -EAGAIN; when the host leaves, those in flight
complete with -ESHUTDOWN.
"""

import contextlib
import os
from collections import deque
from collections.abc import Iterator
from errno import EAGAIN, ESHUTDOWN
from fcntl import ioctl
from typing import Final, final

import trio

from broker.contract import BULK_PACKET_FULL_SPEED, OUT_TRANSFER_BYTES
from gadget.aio import AioContext, AioOperation
from gadget.exclusive import Exclusive
from gadget.occupancy import Occupancy

__all__ = ["AioInEndpoint", "AioOutEndpoint"]

# include/uapi/linux/usb/functionfs.h: _IOR('g', 130, struct usb_endpoint_descriptor), 9 bytes.
_FUNCTIONFS_ENDPOINT_DESC: Final = 0x80096782
_DESCRIPTOR_BYTES: Final = 9

# An error that nobody waited for, and which says only that USB was away at the time.
_USB_WAS_AWAY: Final = frozenset({EAGAIN, ESHUTDOWN})


class _AioEndpoint:
    """An endpoint file and the context of its transfers."""

    def __init__(self, fd: int, aio: AioContext) -> None:
        self._fd = fd
        self._aio = aio
        self._closed = False

    @property
    def occupancy(self) -> Occupancy:
        """How many of its transfers the kernel has."""
        return self._aio.occupancy

    async def aclose(self) -> None:
        """Cancels what is in flight and closes; other calls then get trio.ClosedResourceError."""
        if not self._closed:
            self._closed = True
            await self._aio.aclose()
            os.close(self._fd)


@final
class AioOutEndpoint(_AioEndpoint):
    """Host to device. While one buffer is looked at, the others are in flight."""

    def __init__(self, fd: int, aio: AioContext, *, buffers: int) -> None:
        super().__init__(fd, aio)
        self._idle = [bytearray(OUT_TRANSFER_BYTES) for _ in range(buffers)]
        # In the order of submission, in which the kernel fills them.
        self._reads: deque[tuple[AioOperation, bytearray]] = deque()
        self._receiving = Exclusive("another task receives from this endpoint")

    async def receive(self) -> bytes:
        """Returns the data of the next transfer that has any.

        Raises: OSError of the transfer: EAGAIN = not enabled, ESHUTDOWN = USB was lost just now.
        Cancel: at once; what arrives then is kept for the next call.
        """
        with self._receiving:
            self._aio.reap()
            if self._reads and self._reads[0][0].done:
                # A host that always has data must not starve the other tasks.
                await trio.lowlevel.checkpoint()
            data = b""
            while not data:
                self._submit_reads()
                data = await self._take_oldest()
            return data

    async def _take_oldest(self) -> bytes:
        operation, buffer = self._reads[0]
        size = await operation.wait()
        self._reads.popleft()
        self._idle.append(buffer)
        return bytes(memoryview(buffer)[:size])

    def _submit_reads(self) -> None:
        """Puts every buffer in flight; also those of errors, raised before or never waited for."""
        for read in [read for read in self._reads if read[0].errno]:
            self._reads.remove(read)
            self._idle.append(read[1])
        while self._idle:
            buffer = self._idle[-1]
            self._reads.append((self._aio.submit_read(self._fd, buffer), buffer))
            self._idle.pop()


@final
class AioInEndpoint(_AioEndpoint):
    """Device to host. Several writes may be in flight: an answer never waits for another one."""

    def __init__(self, fd: int, aio: AioContext, *, writes: int) -> None:
        super().__init__(fd, aio)
        self._writes_limit = writes
        self._writes: deque[AioOperation] = deque()
        self._sending = Exclusive("another task sends to this endpoint")

    async def send(self, data: bytes) -> None:
        """Hands one frame to the kernel; waits only while the limit of writes is in flight.

        A write that fails after that is reported by a later call, before it sends anything, unless
        it says only that USB was away: then the frame is lost, as on any pulled cable.

        Raises: OSError of a transfer: EAGAIN = not enabled, ESHUTDOWN = USB was lost just now.
        Cancel: what was handed over stays in flight; the rest of the frame is never sent.
        """
        with self._sending:
            await trio.lowlevel.checkpoint_if_cancelled()
            self._forget_finished()
            for transfer in self._transfers(data):
                await self._wait_for_room()
                self._writes.append(self._aio.submit_write(self._fd, transfer))
            # After the data is on its way: what is not enabled has failed by now.
            self._aio.reap()
            if self._writes and self._writes[-1].errno:
                self._writes.pop().result()

    def _transfers(self, data: bytes) -> Iterator[bytes]:
        # Each transfer is one piece of kernel memory, so none is larger than what we read.
        for start in range(0, len(data), OUT_TRANSFER_BYTES):
            yield data[start : start + OUT_TRANSFER_BYTES]
        if data and self._ends_on_packet(len(data)):
            yield b""

    def _ends_on_packet(self, size: int) -> bool:
        """Whether the host can't see the end of the data without a zero-length packet."""
        if size % BULK_PACKET_FULL_SPEED:
            return False
        descriptor = ioctl(self._fd, _FUNCTIONFS_ENDPOINT_DESC, bytes(_DESCRIPTOR_BYTES))
        # wMaxPacketSize, u16 little-endian at offset 4; bits 0 to 10 are the size.
        return size % (int.from_bytes(descriptor[4:6], "little") & 0x7FF) == 0

    async def _wait_for_room(self) -> None:
        while len(self._writes) >= self._writes_limit:
            with contextlib.suppress(OSError):
                await self._writes[0].wait()
            self._forget_finished()

    def _forget_finished(self) -> None:
        while self._writes and self._writes[0].done:
            operation = self._writes.popleft()
            if operation.errno not in _USB_WAS_AWAY:
                operation.result()
