"""libusb's asynchronous interface as it is in memory: one structure, its numbers, seven functions.

Owns layouts and calls; never waits, keeps no state. `host.usb_transfer` drives it. The library
itself was loaded and initialised by pyusb (`host.usb`), whose synchronous functions go on working
beside it. Source: libusb 1.0.26, libusb.h; the functions exist since 1.0.9.

struct libusb_transfer on 64-bit machines, 64 bytes before the isochronous descriptors, which we
never use:

    offset  size  field             meaning
         0     8  dev_handle        from libusb_open
         8     1  flags             ADD_ZERO_PACKET
         9     1  endpoint          address, bit 7 = in
        10     1  type              2 = bulk
        12     4  timeout           ms, 0 = none
        16     4  status            TransferStatus, valid in the callback
        20     4  length            size of the buffer
        24     4  actual_length     bytes that crossed, valid in the callback
        32     8  callback          void (*)(struct libusb_transfer *)
        40     8  user_data         unused
        48     8  buffer
        56     4  num_iso_packets   0
"""

import ctypes
from collections.abc import Callable
from enum import IntEnum, unique
from typing import Final, Protocol

__all__ = [
    "FLAG_ADD_ZERO_PACKET",
    "TYPE_BULK",
    "Libusb",
    "LibusbError",
    "TransferCallback",
    "TransferStatus",
    "TransferStruct",
    "UsbLibrary",
]

TYPE_BULK: Final = 2
FLAG_ADD_ZERO_PACKET: Final = 1 << 3  # Linux only; elsewhere submitting fails with NOT_SUPPORTED


@unique
class TransferStatus(IntEnum):
    """enum libusb_transfer_status"""

    COMPLETED = 0
    ERROR = 1
    TIMED_OUT = 2
    CANCELLED = 3
    STALL = 4
    NO_DEVICE = 5
    OVERFLOW = 6


@unique
class LibusbError(IntEnum):
    """enum libusb_error, the ones that our calls give."""

    SUCCESS = 0
    IO = -1
    INVALID_PARAM = -2
    NO_DEVICE = -4
    NOT_FOUND = -5
    BUSY = -6
    INTERRUPTED = -10
    NO_MEM = -11
    NOT_SUPPORTED = -12


class TransferStruct(ctypes.Structure):
    _fields_ = (
        ("dev_handle", ctypes.c_void_p),
        ("flags", ctypes.c_uint8),
        ("endpoint", ctypes.c_uint8),
        ("type", ctypes.c_uint8),
        ("timeout", ctypes.c_uint),
        ("status", ctypes.c_int),
        ("length", ctypes.c_int),
        ("actual_length", ctypes.c_int),
        ("callback", ctypes.c_void_p),
        ("user_data", ctypes.c_void_p),
        ("buffer", ctypes.c_void_p),
        ("num_iso_packets", ctypes.c_int),
    )
    # mypy cannot see the fields of a Structure
    dev_handle: int | None
    flags: int
    endpoint: int
    type: int
    timeout: int
    status: int
    length: int
    actual_length: int
    callback: int | None
    buffer: int | None
    num_iso_packets: int


class _PollFd(ctypes.Structure):
    _fields_ = (("fd", ctypes.c_int), ("events", ctypes.c_short))
    fd: int
    events: int


class _Timeval(ctypes.Structure):
    # suseconds_t is 32 bits wide on macOS; the padding after it makes the sizes equal, and we send
    # zeros
    _fields_ = (("tv_sec", ctypes.c_long), ("tv_usec", ctypes.c_long))


TransferCallback = ctypes.CFUNCTYPE(None, ctypes.c_void_p)
_PollFdAdded = ctypes.CFUNCTYPE(None, ctypes.c_int, ctypes.c_short, ctypes.c_void_p)
_PollFdRemoved = ctypes.CFUNCTYPE(None, ctypes.c_int, ctypes.c_void_p)


class UsbLibrary(Protocol):
    """What we use of libusb. Transfers are addresses of a `TransferStruct`; results are
    LibusbError."""

    def alloc_transfer(self) -> int: ...
    def free_transfer(self, transfer: int) -> None: ...
    def submit_transfer(self, transfer: int) -> int: ...
    def cancel_transfer(self, transfer: int) -> int: ...
    def handle_events(self) -> int:
        """Runs the callbacks of what has completed, here and now. Never waits."""
        ...

    def watch_poll_fds(
        self, added: Callable[[int, int], None], removed: Callable[[int], None]
    ) -> None:
        """Reports each descriptor to wait on (fd, poll events), now and later, from any thread."""
        ...


class Libusb:
    """The calls, on the library and the context that pyusb has made. Implements `UsbLibrary`."""

    def __init__(self, library: ctypes.CDLL, context: int) -> None:
        # A second object for the same library, so that pyusb's prototypes stay as they are. ctypes
        # documents both attributes.
        library = ctypes.CDLL(library._name, handle=library._handle)  # noqa: SLF001
        self._context = context
        self._alloc = library.libusb_alloc_transfer
        self._alloc.argtypes = [ctypes.c_int]
        self._alloc.restype = ctypes.c_void_p
        self._free = library.libusb_free_transfer
        self._free.argtypes = [ctypes.c_void_p]
        self._free.restype = None
        self._submit = library.libusb_submit_transfer
        self._submit.argtypes = [ctypes.c_void_p]
        self._cancel = library.libusb_cancel_transfer
        self._cancel.argtypes = [ctypes.c_void_p]
        self._handle = library.libusb_handle_events_timeout_completed
        self._handle.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p]
        self._get_fds = library.libusb_get_pollfds
        self._get_fds.argtypes = [ctypes.c_void_p]
        self._get_fds.restype = ctypes.POINTER(ctypes.POINTER(_PollFd))
        self._free_fds = library.libusb_free_pollfds
        self._free_fds.argtypes = [ctypes.c_void_p]
        self._free_fds.restype = None
        self._set_notifiers = library.libusb_set_pollfd_notifiers
        self._set_notifiers.argtypes = [ctypes.c_void_p] * 4
        self._set_notifiers.restype = None
        self._zero_timeout = _Timeval(0, 0)
        self._zero_timeout_address = ctypes.addressof(self._zero_timeout)
        self._notifiers: tuple[object, ...] = ()

    def alloc_transfer(self) -> int:
        address = self._alloc(0)
        if not address:
            raise MemoryError("libusb_alloc_transfer")
        return int(address)

    def free_transfer(self, transfer: int) -> None:
        self._free(transfer)

    def submit_transfer(self, transfer: int) -> int:
        return int(self._submit(transfer))

    def cancel_transfer(self, transfer: int) -> int:
        return int(self._cancel(transfer))

    def handle_events(self) -> int:
        return int(self._handle(self._context, self._zero_timeout_address, None))

    def watch_poll_fds(
        self, added: Callable[[int, int], None], removed: Callable[[int], None]
    ) -> None:
        on_added = _PollFdAdded(lambda fd, events, _: added(fd, events))
        on_removed = _PollFdRemoved(lambda fd, _: removed(fd))
        self._notifiers = (on_added, on_removed)  # libusb calls them for as long as it lives
        self._set_notifiers(
            self._context,
            ctypes.cast(on_added, ctypes.c_void_p),
            ctypes.cast(on_removed, ctypes.c_void_p),
            None,
        )
        for fd, events in self._read_poll_fds():
            added(fd, events)

    def _read_poll_fds(self) -> list[tuple[int, int]]:
        array = self._get_fds(self._context)
        if not array:
            return []
        try:
            found = []
            index = 0
            while array[index]:
                found.append((array[index].contents.fd, array[index].contents.events))
                index += 1
            return found
        finally:
            self._free_fds(array)
