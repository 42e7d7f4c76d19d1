"""A file's data made durable by a thread of the kernel, on io_uring.

Owns one io_uring and the waiting. The calling thread goes on at once, on its processor alone, since
the kernel's thread looks for another one. (Linux AIO syncs on a worker that is bound to the
caller's processor, and takes the time from the signature that is computed meanwhile.) Never writes
anything: `gadget.keychain.disk` calls it. Several rings work at the same time, with one sync each.

Why the writes do not go this way too, as a chain (IOSQE_IO_LINK): with chains in two rings and
more, one in some thousand was never reported as done until its thread entered the ring (Linux
6.18). A request by itself always was.

Source: io_uring_enter(2), io_uring_register_eventfd(3).
"""

import logging
import os
from struct import Struct
from typing import Final, final

import trio

from gadget.errors import SlotsInUseError
from gadget.uring_abi import (
    CQE,
    IORING_FSYNC_DATASYNC,
    IORING_OP_FSYNC,
    IOSQE_ASYNC,
    SQE,
    Ring,
    io_uring_enter,
    open_ring,
)

__all__ = ["RingSync", "SyncRing", "open_sync_ring"]

logger = logging.getLogger(__name__)

_ENTRIES: Final = 1
_U32: Final = Struct("<I")

# A ring that the kernel still works for must leak, never be collected.
_open_rings: Final[set["SyncRing"]] = set()


@final
class RingSync:
    """A sync on its way. A `gadget.keychain.disk.PendingSync`."""

    __slots__ = ("_outcome", "_ring")

    def __init__(self, ring: "SyncRing") -> None:
        self._ring = ring
        self._outcome: int | None = None

    @property
    def is_done(self) -> bool:
        """Whether its completion was taken."""
        return self._outcome is not None

    def has_succeeded(self) -> bool:
        """Looks, without waiting, whether it has ended well."""
        if self._outcome is None:
            self._ring.reap()
        return self._outcome == 0

    async def wait(self) -> None:
        """Returns when it has ended well. One task may wait.

        Raises:
            OSError: what is on the medium is unknown.
        Cancel: leaves the sync on its way.
        """
        if self._outcome is None:
            self._ring.reap()
        while self._outcome is None:
            await self._ring.wait_for_completion()
        if self._outcome:
            raise OSError(-self._outcome, os.strerror(-self._outcome))

    def complete(self, outcome: int) -> None:
        """Takes the completion (called by the ring): 0, or a negative errno."""
        self._outcome = outcome


@final
class SyncRing:
    """One sync at a time."""

    def __init__(self, ring: Ring, eventfd: int) -> None:
        self._ring = ring
        self._eventfd = eventfd
        self._count = 0  # of syncs ever begun, modulo 2**32: the kernel's own way of counting
        self._taken = 0
        self._is_awaited = False
        self._sync: RingSync | None = None
        _U32.pack_into(ring.queues, ring.sq_array, 0)

    def is_free(self) -> bool:
        """Whether no sync is with the kernel, and nobody still waits for the last one's news."""
        if self._is_awaited:
            return False
        self.reap()
        return self._sync is None

    def start(self, fd: int) -> RingSync:
        """Starts what fdatasync(2) does.

        Raises:
            SlotsInUseError: a sync is on its way.
            OSError: nothing was started.
        """
        if self._sync is not None:
            raise SlotsInUseError("a sync is on its way in this ring")
        ring = self._ring
        request = (IORING_OP_FSYNC, IOSQE_ASYNC, 0, fd, 0, 0, 0, IORING_FSYNC_DATASYNC, 0)
        SQE.pack_into(ring.requests, 0, *request)
        count = (self._count + 1) & 0xFFFFFFFF
        _U32.pack_into(ring.queues, ring.sq_tail, count)
        try:
            io_uring_enter(ring, 1)
        except OSError:
            _U32.pack_into(ring.queues, ring.sq_tail, self._count)
            raise
        self._count = count
        self._sync = sync = RingSync(self)
        return sync

    async def wait_for_completion(self) -> None:
        """For `RingSync.wait`: returns when there may be news, and has taken it."""
        self._is_awaited = True
        try:
            await trio.lowlevel.wait_readable(self._eventfd)
        finally:
            self._is_awaited = False
        self.reap()

    def reap(self) -> None:
        """Takes the completion if it has come; never waits."""
        ring = self._ring
        (tail,) = _U32.unpack_from(ring.queues, ring.cq_tail)
        if tail == self._taken or self._sync is None:
            return
        try:
            # Takes a lock that the kernel held when it counted the completion: what it has written
            # before that is seen from here on, also on a processor that reorders.
            os.eventfd_read(self._eventfd)
        except BlockingIOError:
            return  # counted in a moment
        at = ring.cqes + self._taken % ring.cq_entries * CQE.size
        _, outcome, _ = CQE.unpack_from(ring.queues, at)
        self._taken = tail
        _U32.pack_into(ring.queues, ring.cq_head, tail)
        self._sync.complete(outcome)
        self._sync = None

    def close(self) -> None:
        """Gives the ring back; one whose sync is on its way stays for ever."""
        if not self.is_free():
            logger.error("a sync of the disk does not end")
            return
        _open_rings.discard(self)
        self._ring.close()
        os.close(self._eventfd)


def open_sync_ring() -> SyncRing:
    """Raises: OSError: ENOSYS, EPERM: this kernel, or the sandbox, has no io_uring."""
    eventfd = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
    try:
        ring = SyncRing(open_ring(_ENTRIES, eventfd), eventfd)
    except BaseException:
        os.close(eventfd)
        raise
    _open_rings.add(ring)
    return ring
