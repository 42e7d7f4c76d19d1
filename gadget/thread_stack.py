"""How much of its stack a worker thread has used: what a job in it leaves to be seen afterwards.

Stacks are small here (`gadget.hardening`), so that their use is worth knowing. What was touched
once stays resident until the thread ends; so the look comes after the job, in the same thread. No
other thread's stack is ever looked at: that thread could end meanwhile, and its address with it.

Source: pthread_getattr_np(3), pthread_attr_getstack(3), proc(5) for smaps.
"""

import ctypes
import re
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Final, NamedTuple, ParamSpec, TypeVar, final

__all__ = ["StackMeter", "StackUse", "read_stack_use"]

_SMAPS: Final = Path("/proc/self/smaps")
_ATTRIBUTE_BYTES: Final = 128  # sizeof(pthread_attr_t): 56 on x86-64, 64 on aarch64
_MAPPING: Final = re.compile(
    rb"^([0-9a-f]+)-([0-9a-f]+) [^\n]*\n(?:(?!Rss)[^\n]*\n)*Rss: +(\d+) kB", re.MULTILINE
)

_P = ParamSpec("_P")
_T = TypeVar("_T")


class StackUse(NamedTuple):
    """What has been touched of a stack, and how large it may get; 0 where that can't be told."""

    used_bytes: int
    limit_bytes: int


@final
class StackMeter:
    """The most that any job has used, of those that were run through it, and what it had."""

    def __init__(self) -> None:
        self.peak_bytes = 0
        self.limit_bytes = 0

    def run(self, job: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs) -> _T:
        """In a worker thread: runs the job, then looks at what it has used."""
        try:
            return job(*args, **kwargs)
        finally:
            use = read_stack_use()
            self.peak_bytes = max(self.peak_bytes, use.used_bytes)
            self.limit_bytes = use.limit_bytes


def read_stack_use() -> StackUse:
    """Looks at the calling thread's own stack. Never raises."""
    start, size = _find_stack()
    return StackUse(_resident_bytes(start + size), size)


def _resident_bytes(end: int) -> int:
    """Of the mapping that ends with the stack, which grows down from there."""
    try:
        text = _SMAPS.read_bytes()
    except OSError:
        return 0
    for mapping in _MAPPING.finditer(text):
        if int(mapping[1], 16) < end <= int(mapping[2], 16):
            return int(mapping[3]) * 1024
    return 0


def _find_stack() -> tuple[int, int]:
    """Returns the address and the size of the calling thread's stack."""
    libc = ctypes.CDLL(None)
    attribute = ctypes.create_string_buffer(_ATTRIBUTE_BYTES)
    thread = ctypes.c_ulong(threading.get_ident())
    if not hasattr(libc, "pthread_getattr_np") or libc.pthread_getattr_np(thread, attribute) != 0:
        return 0, 0
    start, size = ctypes.c_void_p(), ctypes.c_size_t()
    libc.pthread_attr_getstack(attribute, ctypes.byref(start), ctypes.byref(size))
    libc.pthread_attr_destroy(attribute)
    return start.value or 0, size.value
