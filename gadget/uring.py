"""Blocks that are written into files in order and made durable, by a thread of the kernel.

Owns one io_uring, the memory that its writes read from, and the waiting. One system call starts
everything: the calling thread goes on at once, on its processor alone, since the kernel's thread
looks for another one. (Linux AIO syncs on a worker that is bound to the caller's processor, and
takes the time from the signature that is computed meanwhile.) Never decides what is written where:
`gadget.keychain.disk` calls it. Several rings work at the same time; one carries one chain.

Source: io_uring_enter(2): with IOSQE_IO_LINK a request starts when the one before has succeeded in
full; after a failure or a short write the rest completes with ECANCELED.
"""

import ctypes
import errno
import logging
import mmap
import os
from collections.abc import Sequence
from struct import Struct
from typing import Final, final

import trio

from gadget.errors import SlotsInUseError
from gadget.uring_abi import (
    CQE,
    IORING_FSYNC_DATASYNC,
    IORING_OP_FSYNC,
    IORING_OP_WRITE,
    IOSQE_ASYNC,
    IOSQE_IO_LINK,
    SQE,
    Ring,
    io_uring_enter,
    open_ring,
)

__all__ = ["Chain", "WriteRing", "open_write_ring"]

logger = logging.getLogger(__name__)

_BLOCK_BYTES: Final = 4096
_WRITES_LIMIT: Final = 2
_ENTRIES: Final = 4
_U32: Final = Struct("<I")

# The kernel still reads from the memory of these: a forgotten ring must leak, never be collected.
_open_rings: Final[set["WriteRing"]] = set()


@final
class Chain:
    """Writes and a sync on their way. A `gadget.keychain.disk.PendingSync`."""

    __slots__ = ("_error", "_missing", "_ring")

    def __init__(self, ring: "WriteRing", missing: int) -> None:
        self._ring = ring
        self._missing = missing  # completions that have not come
        self._error = 0

    @property
    def is_done(self) -> bool:
        """Whether the last completion was taken."""
        return not self._missing

    def has_succeeded(self) -> bool:
        """Looks, without waiting, whether all of it has ended well."""
        if self._missing:
            self._ring.reap()
        return not self._missing and not self._error

    async def wait(self) -> None:
        """Returns when all of it has ended well. One task may wait.

        Raises:
            OSError: of the first request that failed; EIO for a write that fell short. What is on
                the medium is unknown then.
        Cancel: leaves the chain on its way.
        """
        if self._missing:
            self._ring.reap()
        while self._missing:
            await self._ring.wait_for_completion()
        if self._error:
            raise OSError(self._error, os.strerror(self._error))

    def complete_one(self, expected: int, result: int) -> None:
        """Takes one completion (called by the ring): bytes moved, or a negative errno."""
        self._missing -= 1
        if result < 0:
            error = -result
        elif result != expected:
            error = errno.EIO
        else:
            return
        if self._error in (0, errno.ECANCELED):  # the cause, not what it made impossible
            self._error = error


@final
class WriteRing:
    """One chain at a time: up to two blocks into as many files, then a sync of the last file."""

    def __init__(self, ring: Ring, eventfd: int) -> None:
        self._ring = ring
        self._eventfd = eventfd
        self._blocks = mmap.mmap(-1, _WRITES_LIMIT * _BLOCK_BYTES)
        self._address = ctypes.addressof(ctypes.c_char.from_buffer(self._blocks))
        self._submitted = 0
        self._taken = 0
        self._is_awaited = False
        self._chain = Chain(self, 0)

    def is_free(self) -> bool:
        """Whether no chain is with the kernel, and nobody still waits for the last one's news."""
        if self._is_awaited:
            return False
        self.reap()
        return self._chain.is_done

    def start(self, writes: Sequence[tuple[int, bytes]], sync: int) -> Chain:
        """Starts a chain: each block at the beginning of its file, in that order, then the sync.

        Args:
            writes: at most 2 of (descriptor, at most 4,096 bytes).
            sync: the descriptor whose data is made durable, as fdatasync(2) does.

        Raises:
            SlotsInUseError: a chain is on its way.
            OSError: nothing was started.
        """
        if not self._chain.is_done:
            raise SlotsInUseError("a chain is on its way in this ring")
        requests = self._ring.requests
        at = 0
        for fd, block in writes:
            self._blocks[at * _BLOCK_BYTES : at * _BLOCK_BYTES + len(block)] = block
            SQE.pack_into(
                requests,
                at * SQE.size,
                IORING_OP_WRITE,
                IOSQE_IO_LINK | IOSQE_ASYNC,
                0,
                fd,
                0,
                self._address + at * _BLOCK_BYTES,
                len(block),
                0,
                len(block),
            )
            at += 1
        SQE.pack_into(
            requests,
            at * SQE.size,
            *(IORING_OP_FSYNC, IOSQE_ASYNC, 0, sync, 0, 0, 0, IORING_FSYNC_DATASYNC, 0),
        )
        return self._submit(at + 1)

    def _submit(self, count: int) -> Chain:
        ring = self._ring
        for index in range(count):
            slot = (self._submitted + index) % ring.entries
            _U32.pack_into(ring.queues, ring.sq_array + slot * _U32.size, index)
        tail = (self._submitted + count) & 0xFFFFFFFF
        _U32.pack_into(ring.queues, ring.sq_tail, tail)
        try:
            io_uring_enter(ring, count)
        except OSError:
            _U32.pack_into(ring.queues, ring.sq_tail, self._submitted)
            raise
        self._submitted = tail
        self._chain = Chain(self, count)
        return self._chain

    async def wait_for_completion(self) -> None:
        """For `Chain.wait`: returns when there may be news, and has taken it."""
        self._is_awaited = True
        try:
            await trio.lowlevel.wait_readable(self._eventfd)
        finally:
            self._is_awaited = False
        self.reap()

    def reap(self) -> None:
        """Takes the completions that have come; never waits."""
        if self._tail() == self._taken:
            return
        try:
            # Takes a lock that the kernel held when it counted the completion: what it has written
            # before that is seen from here on, also on a processor that reorders.
            os.eventfd_read(self._eventfd)
        except BlockingIOError:
            return  # counted in a moment
        ring = self._ring
        # Read after the count: whatever completes from here on is counted anew.
        tail = self._tail()
        while self._taken != tail:
            at = ring.cqes + self._taken % ring.cq_entries * CQE.size
            expected, result, _ = CQE.unpack_from(ring.queues, at)
            self._chain.complete_one(expected, result)
            self._taken = (self._taken + 1) & 0xFFFFFFFF
        _U32.pack_into(ring.queues, ring.cq_head, self._taken)

    def _tail(self) -> int:
        (tail,) = _U32.unpack_from(self._ring.queues, self._ring.cq_tail)
        return int(tail)

    def close(self) -> None:
        """Gives the ring back; one whose chain is on its way stays for ever, with its memory."""
        if not self.is_free():
            logger.error("a write to the disk does not end")
            return
        _open_rings.discard(self)
        self._ring.close()
        os.close(self._eventfd)


def open_write_ring() -> WriteRing:
    """Raises: OSError: ENOSYS, EPERM: this kernel, or the sandbox, has no io_uring."""
    eventfd = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
    try:
        ring = WriteRing(open_ring(_ENTRIES, eventfd), eventfd)
    except BaseException:
        os.close(eventfd)
        raise
    _open_rings.add(ring)
    return ring
