"""Talks to systemd: ready, status line, watchdog, stopping, and the descriptor store. I/O.

The one place that does, for the registrar and for the gadget. Where there is no systemd (no
NOTIFY_SOCKET) everything here does nothing. It never waits: a manager that has stopped reading its
socket loses a message, not its services.
Source: sd_notify(3), sd_watchdog_enabled(3), sd_listen_fds(3), systemd.service(5) (FileDescriptor-
StoreMax=).
"""

import logging
import os
import select
import socket
from dataclasses import dataclass
from typing import Final

from systemd import daemon

__all__ = [
    "StoredDescriptor",
    "feed_watchdog",
    "notify_ready",
    "notify_status",
    "notify_stopping",
    "remove_stored",
    "store_descriptor",
    "take_stored",
    "watchdog_s",
]

_SOCKET_VARIABLE: Final = "NOTIFY_SOCKET"

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredDescriptor:
    """What systemd has kept for this service since an earlier process of it; now it is ours."""

    name: str
    fd: int


def notify_ready(status: str) -> bool:
    """Says that the start is complete. Returns whether systemd has got it, as all of these do."""
    return _send(f"READY=1\nSTATUS={_one_line(status)}")


def notify_status(status: str) -> bool:
    """Sets the line that `systemctl status` shows."""
    return _send(f"STATUS={_one_line(status)}")


def notify_stopping() -> bool:
    return _send("STOPPING=1")


def feed_watchdog() -> bool:
    return _send("WATCHDOG=1")


def watchdog_s() -> float | None:
    """Returns the time after which systemd kills a service that has not fed; None: it never
    does. Feed two or three times as often."""
    if os.environ.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()):
        return None  # meant for the process that started us
    try:
        limit_us = int(os.environ["WATCHDOG_USEC"])
    except (KeyError, ValueError):
        return None
    return limit_us / 1e6 if limit_us > 0 else None


def store_descriptor(name: str, fd: int) -> bool:
    """Gives systemd a copy, which outlives this process; one of the same file is kept once.

    Needs FileDescriptorStoreMax=. FDPOLL=0: systemd must not drop it because a poll reports an
    error.
    """
    return _send(f"FDSTORE=1\nFDNAME={name}\nFDPOLL=0", fd)


def remove_stored(name: str) -> bool:
    """Makes systemd close its copies of that name."""
    return _send(f"FDSTOREREMOVE=1\nFDNAME={name}")


def take_stored() -> tuple[StoredDescriptor, ...]:
    """Takes what systemd has passed on to this process, each closed on exec. Call it once, early.

    The copies in the store stay there.
    """
    passed = daemon.listen_fds_with_names()
    return tuple(StoredDescriptor(name=name, fd=fd) for fd, name in sorted(passed.items()))


def _send(message: str, *fds: int) -> bool:
    if not os.environ.get(_SOCKET_VARIABLE):
        return False
    try:
        if _would_wait():
            logger.warning(
                "systemd does not read its messages", extra={"lost": message.partition("\n")[0]}
            )
            return False
        return daemon.notify(message, fds=fds)
    except OSError as error:
        logger.warning("systemd has not got a message", extra={"reason": str(error)})
        return False


def _would_wait() -> bool:
    """sd_notify sends on a blocking socket. So ask first, on one of our own, for room."""
    address = os.environ[_SOCKET_VARIABLE]
    if address.startswith("@"):
        address = "\0" + address[1:]
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as asking:
        asking.connect(address)
        poll = select.poll()
        poll.register(asking, select.POLLOUT)
        return not poll.poll(0)


def _one_line(text: str) -> str:
    return " ".join(text.split())
