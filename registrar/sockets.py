"""Local sockets whose being there is the message: how one is served, checked and taken away. I/O.

There are two: the registrar serves `enabled` (registrar/enabled.py), the gadget serves `ready`
(gadget/ready.py). Plain functions on non-blocking standard library sockets, for whatever loop the
caller has. A closed connection is the news; over `ready` each side also sends single bytes that ask
for no answer, and that are dropped where the buffer is full.
Source: unix(7); unix_bind() in net/unix/af_unix.c for the mode.
"""

import errno
import os
import socket
import stat
import struct
from contextlib import suppress
from pathlib import Path
from typing import Final, Protocol
from weakref import WeakKeyDictionary

__all__ = [
    "BACKLOG",
    "SESSION_ANNOUNCED",
    "SUSPENDED",
    "WEDGED",
    "SocketOptions",
    "connect_local",
    "is_closed_by_peer",
    "listen_local",
    "peer_uid",
    "remove_socket",
    "remove_stale",
]

BACKLOG: Final = 8
# On the ready connection. Registrar to gadget: a host was told "ready" and opens a session now.
SESSION_ANNOUNCED: Final = b"\x01"
# The bus was suspended; for the health report only.
SUSPENDED: Final = b"\x02"
# Gadget to registrar: by evidence the controller is wedged (gadget/wedge.py).
WEDGED: Final = b"\x01"
_UCRED: Final = struct.Struct("=iII")  # struct ucred: 0 pid i32 · 4 uid u32 · 8 gid u32, 12 in all
_DISCARD_BYTES: Final = 64

# The file that listen_local made for a socket: (st_dev, st_ino). The socket itself cannot tell.
_files: "WeakKeyDictionary[socket.socket, tuple[int, int]]" = WeakKeyDictionary()


class SocketOptions(Protocol):
    """A socket of the standard library or of trio."""

    def getsockopt(self, level: int, optname: int, buflen: int, /) -> bytes: ...


def listen_local(path: Path, mode: int) -> socket.socket:
    """Serves a stream socket at `path`, whose permissions are never wider than `mode`.

    A file that a dead process has left there is replaced.

    Raises:
        FileExistsError: something that is no socket is there.
        OSError: EADDRINUSE where another process serves this path, or any other that bind(2) has.
    """
    remove_stale(path)
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    try:
        # The file gets the socket's own mode without the bits of the umask, so it starts too
        # narrow, if anything; the umask, which all threads share, stays as it is.
        os.fchmod(sock.fileno(), mode)
        sock.bind(str(path))
        made = path.lstat()
        _files[sock] = (made.st_dev, made.st_ino)
        path.chmod(mode)
        sock.listen(BACKLOG)
    except BaseException:
        remove_socket(path, sock)
        raise
    return sock


def remove_socket(path: Path, sock: socket.socket) -> None:
    """Closes `sock`, and removes `path` if it still is the file that `listen_local` made for it."""
    made = _files.pop(sock, None)
    with suppress(FileNotFoundError):
        found = path.lstat()
        if (found.st_dev, found.st_ino) == made:
            path.unlink()
    sock.close()


def connect_local(path: Path) -> socket.socket:
    """Connects without waiting. Raises OSError: nobody listens, or too many wait there already."""
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    try:
        sock.connect(str(path))
    except BaseException:
        sock.close()
        raise
    return sock


def peer_uid(sock: SocketOptions) -> int:
    """Returns the user who connected or, on the connecting side, the user who listens."""
    credentials = sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size)
    uid: int = _UCRED.unpack(credentials)[1]
    return uid


def is_closed_by_peer(sock: socket.socket) -> bool:
    """Never waits. Bytes mean nothing and are thrown away."""
    try:
        return not sock.recv(_DISCARD_BYTES)
    except BlockingIOError:
        return False
    except OSError:
        return True


def remove_stale(path: Path) -> None:
    """Removes what a dead process has left there, if anything.

    Raises: as `listen_local`.
    """
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise FileExistsError(
            errno.EEXIST, "expected a socket or nothing, found something else", path
        )
    try:
        connect_local(path).close()
    except ConnectionRefusedError:
        path.unlink(missing_ok=True)
    except FileNotFoundError:
        return
    except BlockingIOError as error:
        raise OSError(errno.EADDRINUSE, "another process serves this socket", path) from error
    else:
        raise OSError(errno.EADDRINUSE, "another process serves this socket", path)
