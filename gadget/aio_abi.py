"""Linux AIO's binary interface: five system calls and two structures. Nothing else is here.

libc has no wrappers for these calls, so they go through syscall(2). `gadget.aio` is the only caller
and keeps alive what is handed over here.

Source: include/uapi/linux/aio_abi.h, fs/aio.c; numbers: arch/x86/entry/syscalls/syscall_64.tbl and
include/uapi/asm-generic/unistd.h (aarch64). Both machines are little-endian and 64-bit.
"""

import ctypes
import os
import platform
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import ClassVar, Final

__all__ = [
    "IOCB_CMD_FDSYNC",
    "IOCB_CMD_FSYNC",
    "IOCB_CMD_PREAD",
    "IOCB_CMD_PWRITE",
    "IOCB_FLAG_RESFD",
    "IoEvent",
    "Iocb",
    "IocbList",
    "io_cancel",
    "io_destroy",
    "io_getevents",
    "io_setup",
    "io_submit",
]

IOCB_CMD_PREAD: Final = 0
IOCB_CMD_PWRITE: Final = 1
IOCB_CMD_FSYNC: Final = 2
IOCB_CMD_FDSYNC: Final = 3

IOCB_FLAG_RESFD: Final = 1


class Iocb(ctypes.Structure):
    """struct iocb: one request. io_submit reads it, io_cancel knows it by its address.

    offset  size  type  field           meaning
    0       8     u64   aio_data        comes back in the event
    8       4     u32   aio_key         set by the kernel
    12      4     u32   aio_rw_flags    RWF_*, 0 here
    16      2     u16   aio_lio_opcode  IOCB_CMD_*
    18      2     s16   aio_reqprio     0 here
    20      4     u32   aio_fildes      the file
    24      8     u64   aio_buf         address of the data
    32      8     u64   aio_nbytes      size of the data
    40      8     s64   aio_offset      place in a regular file
    48      8     u64   aio_reserved2   0
    56      4     u32   aio_flags       IOCB_FLAG_RESFD
    60      4     u32   aio_resfd       eventfd that counts the completion
    """

    aio_data: int
    aio_lio_opcode: int
    aio_fildes: int
    aio_buf: bytes | int | None
    aio_nbytes: int
    aio_offset: int
    aio_flags: int
    aio_resfd: int

    # aio_buf is a c_char_p because that takes bytes (and keeps them referenced) as well as an
    # address. Never read it back: that would look for a NUL.
    _fields_: ClassVar = [
        ("aio_data", ctypes.c_uint64),
        ("aio_key", ctypes.c_uint32),
        ("aio_rw_flags", ctypes.c_uint32),
        ("aio_lio_opcode", ctypes.c_uint16),
        ("aio_reqprio", ctypes.c_int16),
        ("aio_fildes", ctypes.c_uint32),
        ("aio_buf", ctypes.c_char_p),
        ("aio_nbytes", ctypes.c_uint64),
        ("aio_offset", ctypes.c_int64),
        ("aio_reserved2", ctypes.c_uint64),
        ("aio_flags", ctypes.c_uint32),
        ("aio_resfd", ctypes.c_uint32),
    ]


class IoEvent(ctypes.Structure):
    """struct io_event: one completion.

    offset  size  type  field  meaning
    0       8     u64   data   aio_data of the request
    8       8     u64   obj    address of its iocb
    16      8     s64   res    bytes moved, or a negative errno
    24      8     s64   res2   unused
    """

    data: int
    res: int

    _fields_: ClassVar = [
        ("data", ctypes.c_uint64),
        ("obj", ctypes.c_uint64),
        ("res", ctypes.c_int64),
        ("res2", ctypes.c_int64),
    ]


IocbList = ctypes.POINTER(Iocb) * 1


class _Timespec(ctypes.Structure):
    _fields_: ClassVar = [("tv_sec", ctypes.c_int64), ("tv_nsec", ctypes.c_int64)]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Numbers:
    setup: int
    destroy: int
    getevents: int
    submit: int
    cancel: int


_NUMBERS: Final = {
    "x86_64": _Numbers(setup=206, destroy=207, getevents=208, submit=209, cancel=210),
    "aarch64": _Numbers(setup=0, destroy=1, submit=2, cancel=3, getevents=4),
}[platform.machine()]
_LIBC: Final = ctypes.CDLL(None, use_errno=True)
_NO_WAIT: Final = ctypes.byref(_Timespec(0, 0))


def _bind(number: int, *argument_types: type) -> Callable[..., int]:
    call = _LIBC["syscall"]
    call.restype = ctypes.c_long
    call.argtypes = (ctypes.c_long, *argument_types)
    return partial(call, number)


_setup = _bind(_NUMBERS.setup, ctypes.c_uint, ctypes.c_void_p)
_destroy = _bind(_NUMBERS.destroy, ctypes.c_ulong)
_submit = _bind(_NUMBERS.submit, ctypes.c_ulong, ctypes.c_long, ctypes.c_void_p)
_cancel = _bind(_NUMBERS.cancel, ctypes.c_ulong, ctypes.c_void_p, ctypes.c_void_p)
_getevents = _bind(
    _NUMBERS.getevents,
    ctypes.c_ulong,
    ctypes.c_long,
    ctypes.c_long,
    ctypes.c_void_p,
    ctypes.c_void_p,
)


def _fail(call: str) -> OSError:
    errno = ctypes.get_errno()
    return OSError(errno, f"{call}: {os.strerror(errno)}")


def io_setup(nr_events: int) -> int:
    """Creates a context for that many requests at once."""
    context = ctypes.c_ulong(0)
    if _setup(nr_events, ctypes.byref(context)) < 0:
        raise _fail("io_setup")
    return context.value


def io_destroy(context: int) -> None:
    """Cancels what is in flight and waits for it, which may take as long as the hardware likes."""
    if _destroy(context) < 0:
        raise _fail("io_destroy")


def io_submit(context: int, requests: "ctypes.Array[ctypes._Pointer[Iocb]]") -> None:
    """Starts the one request of the list; OSError here is about the request, not the transfer."""
    if _submit(context, 1, requests) != 1:
        raise _fail("io_submit")


def io_cancel(context: int, request: Iocb) -> int:
    """Asks for an early end and returns the call's errno; the event comes all the same.

    Returns: EINPROGRESS = asked for; EINVAL = can't be cancelled, has finished or was asked before.
    """
    unused = IoEvent()
    if _cancel(context, ctypes.byref(request), ctypes.byref(unused)) < 0:
        return ctypes.get_errno()
    return 0


def io_getevents(context: int, events: "ctypes.Array[IoEvent]") -> int:
    """Fills `events` from the front with what has completed and returns how many; never waits."""
    count = _getevents(context, 0, len(events), events, _NO_WAIT)
    if count < 0:
        raise _fail("io_getevents")
    return count
