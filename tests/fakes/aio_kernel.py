"""A kernel for `gadget.aio`: the five system calls, with transfers that end when the test says so.

It touches memory through the addresses that it was given, and only when a transfer ends, as the
real one does. `tests/kernel` runs the same contract against FunctionFS.
"""

import ctypes
import os
from collections import deque
from dataclasses import dataclass, field
from errno import ECONNRESET, EINPROGRESS, EINVAL
from typing import TYPE_CHECKING

from gadget import aio
from gadget.aio_abi import IOCB_CMD_PREAD, IOCB_CMD_PWRITE, Iocb, IoEvent

if TYPE_CHECKING:
    import pytest

__all__ = ["AioKernel", "Transfer"]

_BUF_OFFSET = 24


@dataclass(kw_only=True, eq=False)
class Transfer:
    """One request in flight, as the iocb described it."""

    context: int
    iocb_address: int
    token: int
    opcode: int
    fd: int
    address: int
    size: int
    eventfd: int
    was_cancelled: bool = False


@dataclass
class AioKernel:
    """Reads and writes stay in flight until `arrive`, `fetch` or `finish`.

    Args:
        cancel_works: False = the hardware never answers a cancel.
        disabled_errno: what every transfer ends with at once; 0 = the endpoint is enabled.
    """

    cancel_works: bool = True
    disabled_errno: int = 0
    in_flight: list[Transfer] = field(default_factory=list)
    destroyed: list[int] = field(default_factory=list)
    _contexts: dict[int, deque[tuple[int, int]]] = field(default_factory=dict)
    _arrived: dict[int, deque[bytes]] = field(default_factory=dict)

    def install(self, monkeypatch: "pytest.MonkeyPatch") -> None:
        for call in ("io_setup", "io_destroy", "io_submit", "io_cancel", "io_getevents"):
            monkeypatch.setattr(aio, call, getattr(self, call))

    # What the host does.

    def arrive(self, fd: int, data: bytes) -> None:
        """The host sends one transfer to an OUT endpoint; it waits where no read is in flight."""
        self._arrived.setdefault(fd, deque()).append(data)
        self._fill_reads(fd)

    def fetch(self, fd: int) -> bytes | None:
        """The host takes the oldest write of an IN endpoint; None = there is none."""
        for transfer in self.in_flight:
            if transfer.fd == fd and transfer.opcode == IOCB_CMD_PWRITE:
                data = ctypes.string_at(transfer.address, transfer.size) if transfer.size else b""
                self.finish(transfer, transfer.size)
                return data
        return None

    def finish(self, transfer: Transfer, outcome: int) -> None:
        """Ends a transfer: bytes moved, or a negative errno."""
        self.in_flight.remove(transfer)
        self._contexts[transfer.context].append((transfer.token, outcome))
        os.eventfd_write(transfer.eventfd, 1)

    def finish_all(self, outcome: int) -> None:
        for transfer in self.in_flight.copy():
            self.finish(transfer, outcome)

    def _fill_reads(self, fd: int) -> None:
        for transfer in self.in_flight.copy():
            if transfer.fd == fd and transfer.opcode == IOCB_CMD_PREAD and self._arrived.get(fd):
                data = self._arrived[fd].popleft()
                ctypes.memmove(transfer.address, data, len(data))
                self.finish(transfer, len(data))

    # The five system calls.

    def io_setup(self, nr_events: int) -> int:
        context = 0x7000 + nr_events + 0x100 * len(self._contexts)
        self._contexts[context] = deque()
        return context

    def io_destroy(self, context: int) -> None:
        self.destroyed.append(context)

    def io_submit(self, context: int, requests: "ctypes.Array[ctypes._Pointer[Iocb]]") -> None:
        iocb = requests[0].contents
        iocb_address = ctypes.addressof(iocb)
        transfer = Transfer(
            context=context,
            iocb_address=iocb_address,
            token=iocb.aio_data,
            opcode=iocb.aio_lio_opcode,
            fd=iocb.aio_fildes,
            address=ctypes.c_uint64.from_address(iocb_address + _BUF_OFFSET).value,
            size=iocb.aio_nbytes,
            eventfd=iocb.aio_resfd,
        )
        self.in_flight.append(transfer)
        if self.disabled_errno:
            self.finish(transfer, -self.disabled_errno)
        else:
            self._fill_reads(transfer.fd)

    def io_cancel(self, context: int, request: Iocb) -> int:
        for transfer in self.in_flight:
            if transfer.iocb_address == ctypes.addressof(request) and not transfer.was_cancelled:
                assert transfer.context == context
                transfer.was_cancelled = True
                if self.cancel_works:
                    self.finish(transfer, -ECONNRESET)
                return EINPROGRESS
        return EINVAL

    def io_getevents(self, context: int, events: "ctypes.Array[IoEvent]") -> int:
        assert context not in self.destroyed
        queue = self._contexts[context]
        count = min(len(queue), len(events))
        for index in range(count):
            events[index].data, events[index].res = queue.popleft()
        return count
