"""io_uring's binary interface, as far as syncing a file needs it. Nothing else is here.

`gadget.uring` is the only caller and owns the memory that the kernel shares.

Source: include/uapi/linux/io_uring.h (Linux 5.4 and newer); the numbers are the same on every
machine. Both machines are little-endian and 64-bit.
"""

import ctypes
import mmap
import os
from dataclasses import dataclass
from struct import Struct
from typing import Final

__all__ = [
    "CQE",
    "IORING_FSYNC_DATASYNC",
    "IORING_OP_FSYNC",
    "IOSQE_ASYNC",
    "SQE",
    "Ring",
    "io_uring_enter",
    "open_ring",
]

IORING_OP_FSYNC: Final = 3
IORING_FSYNC_DATASYNC: Final = 1
IOSQE_ASYNC: Final = 1 << 4  # on a thread of the kernel, from the start

_NR_SETUP: Final = 425
_NR_ENTER: Final = 426
_NR_REGISTER: Final = 427
_REGISTER_EVENTFD: Final = 4
_OFF_SQES: Final = 0x10000000
_FEAT_SINGLE_MMAP: Final = 1

# struct io_uring_params, 120 bytes:
#   offset 0  size 4  sq_entries, written by the kernel
#          4       4  cq_entries, likewise
#          8      12  flags, sq_thread_cpu, sq_thread_idle: 0 here
#         20       4  features, written by the kernel
#         24      16  wq_fd and reserved
#         40      40  sq_off: head, tail, ring_mask, ring_entries, flags, dropped, array (u32 each),
#                     8 reserved
#         80      40  cq_off: head, tail, ring_mask, ring_entries, overflow, cqes, flags (u32 each),
#                     8 reserved
_PARAMS_BYTES: Final = 120
_COUNTS: Final = Struct("<II12xI")
_SQ_OFF: Final = Struct("<7I")
_SQ_OFF_AT: Final = 40
_CQ_OFF: Final = Struct("<7I")
_CQ_OFF_AT: Final = 80

# struct io_uring_sqe, 64 bytes: one request.
#   offset 0  size 1  opcode
#          1       1  flags, IOSQE_*
#          2       2  ioprio, 0
#          4       4  fd
#          8       8  off: place in the file
#         16       8  addr: of the data
#         24       4  len: size of the data
#         28       4  op_flags: IORING_FSYNC_DATASYNC
#         32       8  user_data: comes back in the completion
#         40      24  zero
SQE: Final = Struct("<BBHiQQIIQ24x")
# struct io_uring_cqe, 16 bytes: one completion.
#   offset 0  size 8  user_data
#          8       4  res: bytes moved, or a negative errno
#         12       4  flags
CQE: Final = Struct("<QiI")
_U32: Final = 4

_LIBC: Final = ctypes.CDLL(None, use_errno=True)
_setup = _LIBC["syscall"]
_setup.restype = ctypes.c_long
_setup.argtypes = (ctypes.c_long, ctypes.c_uint, ctypes.c_void_p)
_enter = _LIBC["syscall"]
_enter.restype = ctypes.c_long
_enter.argtypes = (
    ctypes.c_long,
    ctypes.c_uint,
    ctypes.c_uint,
    ctypes.c_uint,
    ctypes.c_uint,
    ctypes.c_void_p,
    ctypes.c_size_t,
)
_register = _LIBC["syscall"]
_register.restype = ctypes.c_long
_register.argtypes = (
    ctypes.c_long,
    ctypes.c_uint,
    ctypes.c_uint,
    ctypes.c_void_p,
    ctypes.c_uint,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ring:
    """A ring of the kernel's: its descriptor, its shared memory, and where in it things are.

    Attributes:
        queues: both queues; offsets are into it.
        requests: the entries, each a `SQE`.
        sq_tail, sq_array, cq_head, cq_tail: offsets of u32; the array has one for each entry.
        cqes: offset of `cq_entries` times `CQE`.
    """

    fd: int
    queues: mmap.mmap
    requests: mmap.mmap
    cq_entries: int
    sq_tail: int
    sq_array: int
    cq_head: int
    cq_tail: int
    cqes: int

    def close(self) -> None:
        self.queues.close()
        self.requests.close()
        os.close(self.fd)


def open_ring(entries: int, eventfd: int) -> Ring:
    """Makes a ring whose completions are counted by `eventfd`.

    Raises:
        OSError: ENOSYS, EPERM: this kernel, or the sandbox, has no io_uring.
    """
    params = bytearray(_PARAMS_BYTES)
    fd = _setup(_NR_SETUP, entries, (ctypes.c_char * _PARAMS_BYTES).from_buffer(params))
    if fd < 0:
        raise _failure("io_uring_setup")
    try:
        os.set_inheritable(fd, False)
        _register_eventfd(fd, eventfd)
        return _map(fd, params)
    except BaseException:
        os.close(fd)
        raise


def io_uring_enter(ring: Ring, count: int) -> None:
    """Hands that many requests to the kernel. Raises: OSError: none was taken."""
    if _enter(_NR_ENTER, ring.fd, count, 0, 0, None, 0) != count:
        raise _failure("io_uring_enter")


def _map(fd: int, params: bytearray) -> Ring:
    entries, cq_entries, features = _COUNTS.unpack_from(params)
    if not features & _FEAT_SINGLE_MMAP:
        raise OSError("io_uring: this kernel is older than Linux 5.4")
    _, sq_tail, _, _, _, _, sq_array = _SQ_OFF.unpack_from(params, _SQ_OFF_AT)
    cq_head, cq_tail, _, _, _, cqes, _ = _CQ_OFF.unpack_from(params, _CQ_OFF_AT)
    size = max(sq_array + entries * _U32, cqes + cq_entries * CQE.size)
    return Ring(
        fd=fd,
        queues=mmap.mmap(fd, size, offset=0),
        requests=mmap.mmap(fd, entries * SQE.size, offset=_OFF_SQES),
        cq_entries=cq_entries,
        sq_tail=sq_tail,
        sq_array=sq_array,
        cq_head=cq_head,
        cq_tail=cq_tail,
        cqes=cqes,
    )


def _register_eventfd(fd: int, eventfd: int) -> None:
    number = ctypes.byref(ctypes.c_int(eventfd))
    if _register(_NR_REGISTER, fd, _REGISTER_EVENTFD, number, 1) < 0:
        raise _failure("io_uring_register")


def _failure(call: str) -> OSError:
    errno = ctypes.get_errno()
    return OSError(errno, f"{call}: {os.strerror(errno)}")
