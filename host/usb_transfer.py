"""libusb's asynchronous bulk transfers, on trio and without a thread.

Owns the waiting. libusb's descriptors sit in one epoll set; of the tasks that wait for a transfer
one leads: it waits for the set, runs libusb's events and so wakes the others. The task that waits
for an answer usually leads, so that the answer costs no switch between tasks. Never sets a timeout:
a deadline is the caller's cancel scope. `host.usb_stream` uses it.

All callbacks come on the trio thread, inside `handle_events`: each claimed interface has a libusb
context of its own (`host.usb`), and its synchronous calls are over before the first transfer. A
transfer and its buffer stay referenced, and libusb's structure allocated, until the callback.
"""

import ctypes
import errno
import os
import select
import sys
from typing import Final

import trio

from host.errors import UsbUnsupported
from host.libusb_abi import (
    FLAG_ADD_ZERO_PACKET,
    TYPE_BULK,
    LibusbError,
    TransferCallback,
    TransferStatus,
    TransferStruct,
    UsbLibrary,
)

__all__ = ["BulkTransfer", "PollSet", "UsbEvents"]

_ERRNO: Final[dict[int, int]] = {
    LibusbError.IO: errno.EIO,
    LibusbError.NO_DEVICE: errno.ENODEV,
    LibusbError.NO_MEM: errno.ENOMEM,
}


class PollSet:
    """All of a context's descriptors as one, `fd`: readable while any of them is ready."""

    def __init__(self, library: UsbLibrary) -> None:
        """Raises UsbUnsupported where libusb offers no descriptors to wait on."""
        if sys.platform == "linux":
            self._epoll = select.epoll()
            # epoll_ctl works from any thread and while another one waits
            library.watch_poll_fds(added=self._epoll.register, removed=self._epoll.unregister)
            self.fd = self._epoll.fileno()
        else:
            fds: list[int] = []
            library.watch_poll_fds(added=lambda fd, _: fds.append(fd), removed=fds.remove)
            if len(fds) != 1:  # macOS: a pipe, on which a thread of libusb's reports completions
                raise UsbUnsupported("libusb cannot be waited for here: use Linux or macOS")
            self.fd = fds[0]

    def close(self) -> None:
        """Only after the context is gone: its end still removes descriptors."""
        if sys.platform == "linux":
            self._epoll.close()


class UsbEvents:
    """Runs the events of one libusb context, in whichever task waits for one of its transfers."""

    def __init__(self, library: UsbLibrary, poll_fd: int) -> None:
        self.library = library
        self._poll_fd = poll_fd
        self._followers: dict[trio.lowlevel.Task, BulkTransfer] = {}
        self._has_leader = False
        self._is_closed = False

    async def wait(self, transfer: "BulkTransfer") -> None:
        """Returns once the transfer is over; at once where it is not in flight.

        Cancel: it stays in flight, and another wait gets its result.
        """
        try:
            while transfer.in_flight:
                if self._has_leader:
                    await self._follow(transfer)
                else:
                    await self._lead(transfer)
        finally:
            # Whoever leaves sees to it that someone leads, also one who was just asked to.
            if self._followers and not self._has_leader:
                self._wake(next(iter(self._followers)))

    def close(self) -> None:
        """Before the descriptor is closed: whoever still waits gets trio.ClosedResourceError."""
        self._is_closed = True
        trio.lowlevel.notify_closing(self._poll_fd)

    def completed(self, transfer: "BulkTransfer") -> None:
        """Wakes who waits for it. Called from a callback."""
        for task in [task for task, awaited in self._followers.items() if awaited is transfer]:
            self._wake(task)

    async def _lead(self, transfer: "BulkTransfer") -> None:
        if self._is_closed:
            raise trio.ClosedResourceError("libusb's events are not handled any more")
        self._has_leader = True
        try:
            while transfer.in_flight:
                await trio.lowlevel.wait_readable(self._poll_fd)
                result = self.library.handle_events()
                if result not in (LibusbError.SUCCESS, LibusbError.INTERRUPTED):
                    raise OSError(errno.EIO, f"libusb's event handling failed ({result})")
        finally:
            self._has_leader = False

    async def _follow(self, transfer: "BulkTransfer") -> None:
        task = trio.lowlevel.current_task()

        def abort(_: object) -> trio.lowlevel.Abort:
            del self._followers[task]
            return trio.lowlevel.Abort.SUCCEEDED

        self._followers[task] = transfer
        await trio.lowlevel.wait_task_rescheduled(abort)

    def _wake(self, task: trio.lowlevel.Task) -> None:
        del self._followers[task]
        trio.lowlevel.reschedule(task)


class BulkTransfer:
    """One transfer structure of libusb, used again and again on one endpoint."""

    def __init__(
        self, events: UsbEvents, *, handle: int, endpoint: int, add_zero_packet: bool = False
    ) -> None:
        self.in_flight = False
        self._events = events
        self._address = events.library.alloc_transfer()
        self._struct = TransferStruct.from_address(self._address)
        self._struct.dev_handle = handle
        self._struct.flags = FLAG_ADD_ZERO_PACKET if add_zero_packet else 0
        self._struct.endpoint = endpoint
        self._struct.type = TYPE_BULK
        self._struct.timeout = 0
        self._struct.callback = _ON_COMPLETION_ADDRESS
        self._struct.num_iso_packets = 0
        self._buffer: object = None

    def submit(self, buffer: "ctypes.Array[ctypes.c_char] | bytes") -> None:
        """Starts the transfer of the whole buffer: `bytes` out, an array in.

        Raises:
            OSError: it was not started.
        """
        self._struct.buffer = (
            ctypes.cast(ctypes.c_char_p(buffer), ctypes.c_void_p).value
            if isinstance(buffer, bytes)
            else ctypes.addressof(buffer)
        )
        self._struct.length = len(buffer)
        self._buffer = buffer
        self.in_flight = True
        _in_flight[self._address] = self
        result = self._events.library.submit_transfer(self._address)
        if result != LibusbError.SUCCESS:
            self.end()
            number = _ERRNO.get(result, errno.EINVAL)
            raise OSError(number, os.strerror(number))

    def cancel(self) -> None:
        """Asks for an early end; `wait` for it all the same. Bytes that crossed anyway are kept."""
        if self.in_flight:
            self._events.library.cancel_transfer(self._address)

    async def wait(self) -> None:
        """Returns once it is over. Cancel: it stays in flight."""
        await self._events.wait(self)

    @property
    def status(self) -> TransferStatus:
        return TransferStatus(self._struct.status)

    @property
    def actual_length(self) -> int:
        return self._struct.actual_length

    def received(self) -> bytes:
        """The bytes that an in transfer brought, whatever its status."""
        return ctypes.string_at(self._struct.buffer or 0, self._struct.actual_length)

    def free(self) -> None:
        """Gives the structure back to libusb; not while it is in flight."""
        if self.in_flight:
            raise RuntimeError("a transfer in flight cannot be freed")
        if self._address:
            self._events.library.free_transfer(self._address)
            self._address = 0

    def end(self) -> None:
        """Takes note that libusb is done with it."""
        del _in_flight[self._address]
        self.in_flight = False
        self._buffer = None
        self._events.completed(self)


# What libusb may still write to or read from, by the address of its structure.
_in_flight: dict[int, BulkTransfer] = {}


def _on_completion(address: int) -> None:
    _in_flight[address].end()


_ON_COMPLETION: Final = TransferCallback(_on_completion)
_ON_COMPLETION_ADDRESS: Final = ctypes.cast(_ON_COMPLETION, ctypes.c_void_p).value
