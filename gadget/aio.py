"""Linux AIO on trio: transfers that can be waited for, left alone and cancelled.

Owns an AIO context, the eventfds that wake its waiters, and a reference to all that the kernel may
still touch. Never knows what the file is. Called by `gadget.endpoint_aio` and the store of marks.

The path is short on purpose: each slot has an eventfd of its own, the waiting task itself waits on
it and takes the completion, so that no other task runs between the kernel's signal and the caller.

Source: fs/aio.c. A request that io_cancel accepted (EINPROGRESS) or refused (EINVAL) completes by
an event all the same, so "cancelled" always means "asked to, and waited".
"""

import contextlib
import ctypes
import logging
import os
from typing import Final, final

import trio

from gadget.aio_abi import (
    IOCB_CMD_FDSYNC,
    IOCB_CMD_PREAD,
    IOCB_CMD_PWRITE,
    IOCB_FLAG_RESFD,
    Iocb,
    IocbList,
    IoEvent,
    io_cancel,
    io_destroy,
    io_getevents,
    io_setup,
    io_submit,
)
from gadget.errors import SlotsInUseError
from gadget.occupancy import Occupancy

__all__ = ["AioContext", "AioOperation", "open_aio"]

logger = logging.getLogger(__name__)

_CLOSE_LIMIT_S: Final = 0.8

# The kernel may still write through these: a forgotten context must leak, never be collected.
_open_contexts: Final[set["AioContext"]] = set()


@final
class _Slot:
    """One reusable request: its iocb, its eventfd, and what its operation keeps alive."""

    __slots__ = ("eventfd", "iocb", "kept", "operation", "requests", "waited")

    def __init__(self, *, index: int, eventfd: int) -> None:
        self.eventfd = eventfd
        self.iocb = Iocb(aio_data=index, aio_flags=IOCB_FLAG_RESFD, aio_resfd=eventfd)
        self.requests = IocbList(ctypes.pointer(self.iocb))
        self.operation: AioOperation | None = None
        self.kept: object = None
        self.waited = False


@final
class AioOperation:
    """One request in the kernel, until its completion was taken."""

    __slots__ = ("_context", "_outcome", "_slot")

    def __init__(self, context: "AioContext", slot: _Slot) -> None:
        self._context = context
        self._slot = slot
        self._outcome: int | None = None

    @property
    def done(self) -> bool:
        """Whether the completion was taken; `AioContext.reap` takes those that have come."""
        return self._outcome is not None

    @property
    def errno(self) -> int:
        """What it failed with; 0 while it is in flight and when all went well."""
        return 0 if self._outcome is None or self._outcome >= 0 else -self._outcome

    def has_succeeded(self) -> bool:
        """Looks, without waiting, whether it has ended well."""
        if self._outcome is None:
            self._context.reap()
        return self._outcome is not None and self._outcome >= 0

    def finish(self, outcome: int) -> None:
        """Stores the completion (called by the context): bytes moved, or a negative errno."""
        self._outcome = outcome

    def cancel(self) -> None:
        """Asks the kernel to end it early; `wait` tells when it has: ECONNRESET, or data."""
        if self._outcome is None:
            self._context.cancel(self._slot)

    async def wait(self) -> int:
        """Returns the number of bytes moved; other tasks don't run where that is known already.

        Raises: OSError with the errno of the completion; trio.ClosedResourceError when the context
            closes; trio.BusyResourceError for a second waiter.
        Cancel: leaves the operation in flight; a later wait() takes its result.
        """
        if self._outcome is None:
            self._context.reap()
        if self._outcome is None:
            await self._context.wait_for(self, self._slot)
        else:
            await trio.lowlevel.checkpoint_if_cancelled()
        return self.result()

    def result(self) -> int:
        """What `wait` returns or raises; trio.WouldBlock while it is in flight."""
        if self._outcome is None:
            raise trio.WouldBlock
        if self._outcome < 0:
            raise OSError(-self._outcome, os.strerror(-self._outcome))
        return self._outcome


@final
class AioContext:
    """A bounded number of requests in the kernel, from any number of tasks. Made by `open_aio`."""

    def __init__(self, context: int, eventfds: list[int]) -> None:
        self._context = context
        self._slots = [_Slot(index=index, eventfd=fd) for index, fd in enumerate(eventfds)]
        self._free = self._slots.copy()
        self._least_free = len(eventfds)
        self._events = (IoEvent * len(eventfds))()
        self._views = tuple(self._events[index] for index in range(len(eventfds)))
        self._closed = False

    @property
    def occupancy(self) -> Occupancy:
        """How many slots are taken."""
        places = len(self._slots)
        return Occupancy(
            in_flight=places - len(self._free),
            in_flight_peak=places - self._least_free,
            places=places,
        )

    def submit_read(self, fd: int, buffer: bytearray) -> AioOperation:
        """Starts a read into `buffer`, which can't be resized until the operation is done."""
        memory = (ctypes.c_char * len(buffer)).from_buffer(buffer)
        return self._submit(IOCB_CMD_PREAD, fd, ctypes.addressof(memory), len(buffer), memory)

    def submit_write(self, fd: int, data: bytes) -> AioOperation:
        """Starts a write; to an endpoint, no bytes make a zero-length packet."""
        return self._submit(IOCB_CMD_PWRITE, fd, data, len(data), data)

    def submit_fdsync(self, fd: int) -> AioOperation:
        """Starts what fdatasync(2) does, in a worker of the kernel: no thread of ours waits."""
        return self._submit(IOCB_CMD_FDSYNC, fd, None, 0, None)

    def _submit(
        self, opcode: int, fd: int, buf: bytes | int | None, size: int, kept: object
    ) -> AioOperation:
        if not self._free:
            self.reap()
        if self._closed:
            raise trio.ClosedResourceError
        if not self._free:
            raise SlotsInUseError(f"all {len(self._slots)} AIO slots are in flight")
        slot = self._free.pop()
        self._least_free = min(self._least_free, len(self._free))
        iocb = slot.iocb
        iocb.aio_lio_opcode = opcode
        iocb.aio_fildes = fd
        iocb.aio_buf = buf
        iocb.aio_nbytes = size
        slot.kept = kept
        slot.operation = operation = AioOperation(self, slot)
        try:
            io_submit(self._context, slot.requests)
        except OSError:
            self._release(slot)
            raise
        return operation

    def reap(self) -> None:
        """Takes the completions that have come; never waits."""
        if self._closed:
            raise trio.ClosedResourceError
        self._reap()

    def _reap(self) -> None:
        for event in self._views[: io_getevents(self._context, self._events)]:
            slot = self._slots[event.data]
            if slot.operation is not None:
                slot.operation.finish(event.res)
            # Used again at once, a slot with a waiter would have two tasks on one eventfd.
            if not slot.waited:
                self._release(slot)

    def _release(self, slot: _Slot) -> None:
        slot.iocb.aio_buf = None
        slot.kept = None
        slot.operation = None
        self._free.append(slot)

    def cancel(self, slot: _Slot) -> None:
        """For `AioOperation.cancel`; whatever io_cancel says, the completion follows."""
        io_cancel(self._context, slot.iocb)

    async def wait_for(self, operation: AioOperation, slot: _Slot) -> None:
        """For `AioOperation.wait`."""
        if slot.waited:
            raise trio.BusyResourceError("another task waits for this operation")
        slot.waited = True
        try:
            while not operation.done:
                await trio.lowlevel.wait_readable(slot.eventfd)
                if self._closed:
                    # Woken in the same moment: the eventfd now belongs to `aclose`.
                    raise trio.ClosedResourceError
                # The count may be that of an earlier operation, whose end another task took.
                os.eventfd_read(slot.eventfd)
                self._reap()
        finally:
            slot.waited = False
            if operation.done:
                self._release(slot)

    async def aclose(self) -> None:
        """Cancels what is in flight, waits for it and gives the context back to the kernel.

        After 0.8 s without an answer it gives up: context and buffers then stay for ever, because
        the hardware still owns them.
        Cancel: has no effect.
        """
        if self._closed:
            return
        self._closed = True
        for slot in self._slots:
            trio.lowlevel.notify_closing(slot.eventfd)
        with trio.CancelScope(shield=True), trio.move_on_after(_CLOSE_LIMIT_S) as limit:
            await self._drain()
            # Not on this thread: it waits in the kernel, for a grace period at least.
            await trio.to_thread.run_sync(self._destroy, abandon_on_cancel=True)
        if limit.cancelled_caught:
            logger.error("transfers do not end", extra={"limit_s": _CLOSE_LIMIT_S})
        for slot in self._slots:
            os.close(slot.eventfd)

    async def _drain(self) -> None:
        in_flight = [(slot.operation, slot) for slot in self._slots if slot.operation is not None]
        for _, slot in in_flight:
            self.cancel(slot)
        for operation, slot in in_flight:
            while not operation.done:
                await trio.lowlevel.wait_readable(slot.eventfd)
                os.eventfd_read(slot.eventfd)
                self._reap()

    def _destroy(self) -> None:
        io_destroy(self._context)
        _open_contexts.discard(self)


def open_aio(slots: int) -> AioContext:
    """Opens a context for that many requests at once; each slot takes one descriptor."""
    with contextlib.ExitStack() as undo:
        eventfds = []
        for _ in range(slots):
            eventfds.append(os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC))
            undo.callback(os.close, eventfds[-1])
        context = AioContext(io_setup(slots), eventfds)
        undo.pop_all()
    _open_contexts.add(context)
    return context
