"""An ep0 without a kernel: the interface of `registrar.ep0.Ep0File`, and the host's side of it.

Follows drivers/usb/gadget/function/f_fs.c: the queue of four and what an event removes from it
(__ffs_event_add), the three states of a control request (ffs_setup_state), and what a read or a
write does in each (ffs_ep0_read, ffs_ep0_write). tests/registrar/ep0_contract.py holds it to the
real one.
"""

import socket
import struct
import threading
from enum import Enum, auto

from registrar.ep0 import Outcome
from registrar.errors import Ep0Gone
from registrar.events import QUEUED_EVENTS_LIMIT, EventType, Setup
from tests.registrar.ep0_contract import HostGaveUp, Stalled

__all__ = ["FakeEp0", "encode_event"]

_POWER = {EventType.SUSPEND, EventType.RESUME}
_REMOVED_BY = {
    EventType.RESUME: {EventType.RESUME, EventType.SUSPEND},
    EventType.SUSPEND: {EventType.SUSPEND},
    EventType.SETUP: {EventType.SETUP},
}


def encode_event(event: EventType, setup: Setup | None = None) -> bytes:
    packet = bytes(8)
    if setup is not None:
        packet = struct.pack(
            "<BBHHH",
            setup.bmRequestType,
            setup.bRequest,
            setup.wValue,
            setup.wIndex,
            setup.wLength,
        )
    return packet + bytes([event, 0, 0, 0])


class _Request(Enum):
    NONE = auto()
    PENDING = auto()  # the board has read it, and has not answered
    CANCELLED = auto()  # an event came meanwhile


class FakeEp0:
    """The board's side is used by one thread, the host's side by any."""

    def __init__(self) -> None:
        self.written: tuple[bytes, bytes] | None = None
        self.is_closed = False
        self._changed = threading.Condition()
        self._queue: list[EventType] = []
        self._setup: Setup | None = None
        self._request = _Request.NONE
        self._answers: dict[int, bytes | None] = {}  # by request number; None: stalled
        self._number = 0
        self._is_gone = False
        self._is_enabled = False
        self._readable, self._signal = socket.socketpair()
        self._readable.setblocking(False)

    # The board's side: registrar.ep0.Ep0.

    def fileno(self) -> int:
        return self._readable.fileno()

    def wants_descriptors(self) -> bool:
        return self.written is None

    def is_enabled(self) -> bool:
        with self._changed:
            return self._is_enabled

    def has_open_request(self) -> bool:
        with self._changed:
            return self._request is not _Request.NONE

    def write_descriptors(self, descriptors: bytes, strings: bytes) -> None:
        self.written = (descriptors, strings)

    def read_events(self) -> bytes:
        with self._changed:
            if self._is_gone:
                raise Ep0Gone("the fake controller is gone")
            if self._request is _Request.PENDING:
                assert self._setup is not None
                assert self._setup.is_in, "the kernel would take the host's data for events"
                self._answer(None)
                return b""
            if self._request is _Request.CANCELLED:
                self._settle()
                return b""
            return self._take_events()

    def reply(self, data: bytes) -> Outcome:
        with self._changed:
            setup = self._pending_setup()
            if setup is None:
                return Outcome.LOST
            self._answer(data[: setup.wLength] if setup.is_in else None)
            return Outcome.DONE

    def stall_in(self) -> Outcome:
        return self._stall(is_in=True)

    def stall_out(self) -> Outcome:
        return self._stall(is_in=False)

    def interrupt_reply(self) -> None:
        """Nothing: this one never waits."""

    def close(self) -> None:
        self.is_closed = True
        self._readable.close()
        self._signal.close()

    # The host's side.

    def push(self, event: EventType) -> None:
        """Something happened on the bus."""
        with self._changed:
            self._add(event)

    def request(self, setup: Setup, *, timeout_s: float = 5.0) -> bytes:
        """Sends a control request and waits for the answer. Raises Stalled or HostGaveUp."""
        with self._changed:
            self._number += 1
            number = self._number
            self._setup = setup
            self._add(EventType.SETUP)
            if not self._changed.wait_for(lambda: number in self._answers, timeout_s):
                raise HostGaveUp
            answer = self._answers.pop(number)
        if answer is None:
            raise Stalled
        return answer

    def remove(self) -> None:
        """ep0 ends for good."""
        with self._changed:
            self._is_gone = True
            self._update()

    # f_fs.c

    def _add(self, event: EventType) -> None:
        if self._request is _Request.PENDING:
            self._request = _Request.CANCELLED
        if event not in _POWER | {EventType.SETUP}:
            self._is_enabled = event is EventType.ENABLE
        removed = _REMOVED_BY.get(event, set(EventType) - _POWER)
        self._queue = [*(e for e in self._queue if e not in removed), event]
        assert len(self._queue) <= QUEUED_EVENTS_LIMIT
        self._update()

    def _take_events(self) -> bytes:
        records = [
            encode_event(e, self._setup if e == EventType.SETUP else None) for e in self._queue
        ]
        if EventType.SETUP in self._queue:
            self._request = _Request.PENDING
        self._queue = []
        self._update()
        return b"".join(records)

    def _stall(self, *, is_in: bool) -> Outcome:
        """In the wrong direction it is an empty answer."""
        with self._changed:
            setup = self._pending_setup()
            if setup is None:
                return Outcome.LOST
            is_right = setup.is_in == is_in
            self._answer(None if is_right else b"")
            return Outcome.DONE if is_right else Outcome.LOST

    def _pending_setup(self) -> Setup | None:
        if self._request is _Request.CANCELLED:
            self._settle()
        return self._setup if self._request is _Request.PENDING else None

    def _answer(self, answer: bytes | None) -> None:
        self._answers[self._number] = answer
        self._settle()

    def _settle(self) -> None:
        self._request = _Request.NONE
        self._update()

    def _update(self) -> None:
        """Makes `fileno` readable exactly where poll says so of the real one."""
        while True:
            try:
                self._readable.recv(64)
            except BlockingIOError:
                break
        if self._queue or self._request is not _Request.NONE or self._is_gone:
            self._signal.send(b"!")
        self._changed.notify_all()
