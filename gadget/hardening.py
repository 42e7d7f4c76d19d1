"""What the daemon takes away from itself before it touches a key. Linux only; called once by
`gadget.__main__`.

Core files and ptrace would show secrets, swap would keep them. Locking needs the right to lock (the
unit gives it): where the limit is low it is left out, because MCL_FUTURE under a low limit makes
later allocations fail.
"""

import ctypes
import logging
import os
import resource
import threading
from typing import Final

__all__ = ["harden_process"]

logger = logging.getLogger(__name__)

_PR_SET_DUMPABLE: Final = 4  # include/uapi/linux/prctl.h
_PR_SET_NO_NEW_PRIVS: Final = 38
_MCL_CURRENT, _MCL_FUTURE, _MCL_ONFAULT = 1, 2, 4  # include/uapi/asm-generic/mman.h
_THREAD_STACK_BYTES: Final = 512 * 1024


def harden_process() -> None:
    """Switches off core files, ptrace and new privileges, locks memory, keeps thread stacks small.

    A step that the system refuses is logged as a warning: a signer that runs beats one that does
    not start.
    """
    os.umask(0o077)
    threading.stack_size(_THREAD_STACK_BYTES)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    libc = ctypes.CDLL(None, use_errno=True)
    _take("not dumpable", libc.prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0))
    _take("no new privileges", libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
    if (
        resource.getrlimit(resource.RLIMIT_MEMLOCK)[0] == resource.RLIM_INFINITY
        or os.geteuid() == 0
    ):
        _take("memory locked", libc.mlockall(_MCL_CURRENT | _MCL_FUTURE | _MCL_ONFAULT))
    else:
        logger.warning("memory is not locked: the memlock limit is not unlimited")


def _take(step: str, result: int) -> None:
    if result != 0:
        logger.warning("hardening step failed", extra={"step": step, "errno": ctypes.get_errno()})
