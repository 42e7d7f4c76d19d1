"""Owns the descriptor of ep0: writes descriptors, reads events, answers control requests.

It never decides what to answer (`registrar.control`) nor parses events (`registrar.events`), and it
never waits for the host but in `reply`. `registrar.daemon` is the only caller.
Source: drivers/usb/gadget/function/f_fs.c, ffs_ep0_read, ffs_ep0_write and __ffs_ep0_stall.

A request is refused by I/O in the wrong direction: reading stalls a device-to-host request, writing
a host-to-device one, and both then fail with EL2HLT. A request that is not answered stalls with
the next read if it is device-to-host. Reads and writes that stall have length zero: should the
request be gone already, they take no event from the queue.
"""

import errno
import os
from enum import Enum, auto
from pathlib import Path
from typing import Final, Protocol

from registrar.errors import Ep0Gone, Ep0Refused
from registrar.events import EVENT_BYTES, QUEUED_EVENTS_LIMIT

__all__ = ["Ep0", "Ep0File", "Outcome", "open_ep0"]


class Outcome(Enum):
    """DONE: the host has the answer. LOST: it gave up or left; nobody waits for this answer."""

    DONE = auto()
    LOST = auto()


# What an errno of a read of events means; one that is not here means that ep0 is gone for good
# (EBADFD, ESHUTDOWN, ENODEV among them).
_NO_EVENT: Final = {
    errno.EAGAIN: "nothing has happened",
    errno.EIDRM: "the host gave up on the request before",
    errno.EL2HLT: "the request before was not answered and has been stalled by this read",
}
# What an errno of an answer means; one that is not here means that ep0 is gone for good (EBADFD).
_ANSWERED: Final = {
    errno.EL2HLT: Outcome.DONE,  # stalled, as asked
    errno.EIDRM: Outcome.LOST,  # another event has overtaken the request
    errno.ESRCH: Outcome.LOST,  # no host-to-device request is waiting
    errno.EINVAL: Outcome.LOST,  # no device-to-host request is waiting, or the controller refused
    errno.ESHUTDOWN: Outcome.LOST,  # the controller left the bus
    errno.ENODEV: Outcome.LOST,  # the controller was unbound
    errno.ECONNRESET: Outcome.LOST,  # the transfer was taken back
    errno.EOVERFLOW: Outcome.LOST,  # the host sent its next request first (dummy_hcd)
    errno.EPROTO: Outcome.LOST,
    errno.EPIPE: Outcome.LOST,
    errno.EIO: Outcome.LOST,
    errno.ETIMEDOUT: Outcome.LOST,
    errno.ENOMEM: Outcome.LOST,
    errno.EAGAIN: Outcome.LOST,  # ep0 is busy in another process: the next read stalls the request
    errno.EINTR: Outcome.LOST,  # `interrupt_reply`
}


class Ep0(Protocol):
    """What the daemon needs of ep0; tests have another one of the same contract."""

    def fileno(self) -> int: ...
    def write_descriptors(self, descriptors: bytes, strings: bytes) -> None: ...
    def read_events(self) -> bytes: ...
    def reply(self, data: bytes) -> Outcome: ...
    def stall_in(self) -> Outcome: ...
    def stall_out(self) -> Outcome: ...
    def interrupt_reply(self) -> None: ...
    def close(self) -> None: ...


class Ep0File:
    """The real ep0: a non-blocking descriptor, and poll tells when there are events."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._is_replying = False

    def fileno(self) -> int:
        return self._fd

    def write_descriptors(self, descriptors: bytes, strings: bytes) -> None:
        """From here on the endpoint files exist and the gadget can be bound to a controller.

        Raises:
            Ep0Refused: the kernel does not take them, or another process has written them before.
        """
        try:
            os.write(self._fd, descriptors)
            os.write(self._fd, strings)
        except OSError as error:
            raise Ep0Refused(f"ep0 does not take the descriptors: {error.strerror}") from error

    def read_events(self) -> bytes:
        """Returns whole events for `registrar.events`; empty when there are none.

        Raises:
            Ep0Gone: there will be no further event.
        """
        try:
            data = os.read(self._fd, EVENT_BYTES * QUEUED_EVENTS_LIMIT)
        except OSError as error:
            if error.errno in _NO_EVENT:
                return b""
            raise Ep0Gone(f"reading events from ep0 failed: {error.strerror}") from error
        if not data:
            raise Ep0Gone("expected events from ep0, found end of file")
        return data

    def reply(self, data: bytes) -> Outcome:
        """Answers the device-to-host request that was read last; empty data is an answer too.

        Returns when the host has fetched it, which takes microseconds unless the host dies in
        between; then the next request or bus reset ends the wait (LOST).
        """
        self._is_replying = True
        try:
            os.write(self._fd, data)
        except OSError as error:
            return _judge(error)
        finally:
            self._is_replying = False
        return Outcome.DONE

    def interrupt_reply(self) -> None:
        """For signal handlers: makes a `reply` that is waiting return LOST."""
        if self._is_replying:
            raise InterruptedError(
                errno.EINTR, "a signal came while the host had not fetched a reply"
            )

    def stall_in(self) -> Outcome:
        """Refuses the device-to-host request that was read last."""
        try:
            os.read(self._fd, 0)
        except OSError as error:
            return _judge(error)
        return Outcome.LOST

    def stall_out(self) -> Outcome:
        """Refuses the host-to-device request that was read last."""
        try:
            os.write(self._fd, b"")
        except OSError as error:
            return _judge(error)
        return Outcome.LOST

    def close(self) -> None:
        """Takes the device off the bus, unless somebody else has an endpoint file open."""
        os.close(self._fd)


def open_ep0(path: Path) -> Ep0File:
    """Raises Ep0Refused where FunctionFS is not mounted or another process serves it."""
    try:
        return Ep0File(os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC))
    except OSError as error:
        raise Ep0Refused(f"cannot open {path}: {error.strerror}") from error


def _judge(error: OSError) -> Outcome:
    outcome = _ANSWERED.get(error.errno or 0)
    if outcome is None:
        raise Ep0Gone(f"answering a request on ep0 failed: {error.strerror}") from error
    return outcome
