"""Owns the descriptor of ep0: writes descriptors, reads events, answers control requests.

It never decides what to answer (`registrar.control`) nor parses events (`registrar.events`), and it
never waits for the host but in `reply`, for a limited time. `registrar.daemon` and
`registrar.inheritance` are the only callers.
Source: drivers/usb/gadget/function/f_fs.c, ffs_ep0_read, ffs_ep0_write, ffs_ep0_poll,
ffs_ep0_ioctl and __ffs_ep0_stall.

A request is refused by I/O in the wrong direction: reading stalls a device-to-host request, writing
a host-to-device one, and both then fail with EL2HLT. A request that is not answered stalls with
the next read if it is device-to-host. Reads and writes that stall have length zero: should the
request be gone already, they take no event from the queue.
"""

import errno
import fcntl
import os
import select
import signal
from enum import Enum, auto
from pathlib import Path
from typing import Final, Protocol

from registrar.errors import Ep0Gone, Ep0Refused
from registrar.events import EVENT_BYTES, QUEUED_EVENTS_LIMIT

__all__ = ["REPLY_LIMIT_S", "Ep0", "Ep0File", "Outcome", "adopt_ep0", "open_ep0"]

# A host gives a control request 5 s (USB 2.0, 9.2.6.1; USB_CTRL_GET_TIMEOUT).
REPLY_LIMIT_S: Final = 5.0
_INTERFACE_REVMAP: Final = 0x6780  # FUNCTIONFS_INTERFACE_REVMAP, _IO('g', 128)


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
    def wants_descriptors(self) -> bool: ...
    def is_enabled(self) -> bool: ...
    def has_open_request(self) -> bool: ...
    def write_descriptors(self, descriptors: bytes, strings: bytes) -> None: ...
    def read_events(self) -> bytes: ...
    def reply(self, data: bytes) -> Outcome: ...
    def stall_in(self) -> Outcome: ...
    def stall_out(self) -> Outcome: ...
    def interrupt_reply(self) -> None: ...
    def close(self) -> None: ...


class Ep0File:
    """The real ep0: a non-blocking descriptor, and poll tells when there are events.

    Args:
        reply_limit_s: after so long SIGALRM comes, whose handler must call `interrupt_reply`;
            None: no limit.
    """

    def __init__(self, fd: int, *, reply_limit_s: float | None = None) -> None:
        self._fd = fd
        self._reply_limit_s = reply_limit_s
        self._is_replying = False

    def fileno(self) -> int:
        return self._fd

    def wants_descriptors(self) -> bool:
        """Says whether nobody has written them yet. Writing them twice would answer a request."""
        return self._poll() == select.POLLOUT

    def is_enabled(self) -> bool:
        """Says whether a host has configured us right now, whatever events are in the queue.

        Not /sys/class/udc: Linux 6.1 leaves "configured" there after the host has deconfigured us,
        and after an unbind.
        """
        try:
            fcntl.ioctl(self._fd, _INTERFACE_REVMAP, 0)
        except OSError as error:
            return error.errno == errno.EDOM  # configured, with other numbers than ours
        return True

    def has_open_request(self) -> bool:
        """Says whether a request was read and not answered, perhaps by a process before us."""
        return self._poll() == select.POLLIN | select.POLLOUT

    def _poll(self) -> int:
        poll = select.poll()
        poll.register(self._fd, select.POLLIN | select.POLLOUT)
        ready = poll.poll(0)
        return ready[0][1] if ready else 0

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

        A host-to-device request is stalled. Returns when the host has fetched the answer, which
        takes microseconds unless the host dies in between; then the next request, a bus reset or
        the time limit ends the wait (LOST).
        """
        self._is_replying = True
        try:
            if self._reply_limit_s is not None:
                signal.setitimer(signal.ITIMER_REAL, self._reply_limit_s)
            os.write(self._fd, data)
        except OSError as error:
            return _judge(error)
        finally:
            self._is_replying = False
            if self._reply_limit_s is not None:
                signal.setitimer(signal.ITIMER_REAL, 0)
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


def open_ep0(path: Path, *, reply_limit_s: float | None = None) -> Ep0File:
    """Raises Ep0Refused where FunctionFS is not mounted or another process serves it."""
    try:
        fd = os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise Ep0Refused(f"cannot open {path}: {error.strerror}") from error
    try:
        _lock(fd)
    except Ep0Refused:
        os.close(fd)
        raise
    return Ep0File(fd, reply_limit_s=reply_limit_s)


def adopt_ep0(fd: int, path: Path, *, reply_limit_s: float | None = None) -> Ep0File:
    """Goes on with the descriptor of an earlier process, which has written the descriptors.

    Raises:
        Ep0Refused: it is not that; the descriptor stays open, and the caller's.
    """
    try:
        is_same = os.path.samestat(os.fstat(fd), path.stat())
    except OSError as error:
        raise Ep0Refused(f"cannot compare ep0 with {path}: {error.strerror}") from error
    if not is_same:
        raise Ep0Refused(f"expected {path}, found another file")
    ep0 = Ep0File(fd, reply_limit_s=reply_limit_s)
    if ep0.wants_descriptors():
        raise Ep0Refused("expected an ep0 that has its descriptors, found one that wants them")
    _lock(fd)
    return ep0


def _lock(fd: int) -> None:
    """Two registrars would steal each other's events. The lock is the open file's: it passes on
    with the descriptor, and goes with the last copy."""
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        raise Ep0Refused("another process serves ep0") from error


def _judge(error: OSError) -> Outcome:
    outcome = _ANSWERED.get(error.errno or 0)
    if outcome is None:
        raise Ep0Gone(f"answering a request on ep0 failed: {error.strerror}") from error
    return outcome
