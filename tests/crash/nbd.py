"""A disk that QEMU reaches over a Unix socket, and that tells a recorder all that happens to it.

Speaks as much of NBD as QEMU's client needs: fixed newstyle handshake, simple replies, no FUA (so
the guest's kernel sends a flush in its place). Requests that arrive together are all noted before
any is answered: what was under way at the same time as a flush is not covered by it.
Source: the NBD protocol, https://github.com/NetworkBlockDevice/nbd/blob/master/doc/proto.md.
"""

import contextlib
import socket
import threading
from collections.abc import Iterator
from enum import IntEnum
from pathlib import Path
from struct import Struct
from typing import Final, NamedTuple, Protocol

__all__ = ["DiskEvents", "serve_disk"]

_GREETING: Final = b"NBDMAGIC" + b"IHAVEOPT" + (1).to_bytes(2, "big")  # fixed newstyle
_OPTION: Final = Struct(">8sII")
_OPTION_REPLY: Final = Struct(">QIII")
_OPTION_REPLY_MAGIC: Final = 0x0003E889045565A9
_OPTION_GO: Final = 7
_REPLY_ACK: Final = 1
_REPLY_INFO: Final = 3
_REPLY_UNSUPPORTED: Final = 0x80000001
_EXPORT: Final = Struct(">HQH")
_HAS_FLAGS_AND_FLUSH: Final = 1 | 4
_REQUEST: Final = Struct(">IHHQQI")
_REQUEST_MAGIC: Final = 0x25609513
_ANSWER: Final = Struct(">IIQ")
_ANSWER_MAGIC: Final = 0x67446698
_CHUNK_BYTES: Final = 1024 * 1024


class _Command(IntEnum):
    READ = 0
    WRITE = 1
    DISCONNECT = 2
    FLUSH = 3


class _Request(NamedTuple):
    command: _Command
    cookie: int
    offset: int
    length: int
    data: bytes


class DiskEvents(Protocol):
    """Told in the order of arrival; called by the serving thread."""

    def write(self, offset: int, data: bytes) -> None: ...

    def flush(self, covered: int) -> None:
        """Args: covered: how many of the writes, from the first, are durable from now on."""
        ...


@contextlib.contextmanager
def serve_disk(path: Path, disk: bytearray, events: DiskEvents) -> Iterator[None]:
    """Serves one client for the time of the block, which must end when the client has gone.

    Raises: what the serving thread failed with.
    """
    failures: list[BaseException] = []

    def serve() -> None:
        try:
            connection, _ = listener.accept()
        except OSError:  # nobody came, and it was shut down
            return
        try:
            with connection:
                _Server(connection, disk, events).run()
        except OSError as error:
            failures.append(error)

    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(str(path))
        listener.listen(1)
        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield
        finally:
            with contextlib.suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
            thread.join()
            path.unlink()
    if failures:
        raise failures[0]


class _Server:
    def __init__(self, connection: socket.socket, disk: bytearray, events: DiskEvents) -> None:
        self._connection = connection
        self._disk = disk
        self._events = events
        self._received = bytearray()
        self._writes = 0

    def run(self) -> None:
        """Returns when the client has gone, however it went."""
        try:
            self._greet()
            while True:
                requests = self._take_requests()
                if not requests:
                    return
                self._answer(requests)
        except (EOFError, ConnectionError):
            return

    def _greet(self) -> None:
        self._connection.sendall(_GREETING)
        self._take(4)  # the client's flags
        while True:
            _, option, length = _OPTION.unpack(self._take(_OPTION.size))
            self._take(length)
            if option == _OPTION_GO:
                export = _EXPORT.pack(0, len(self._disk), _HAS_FLAGS_AND_FLUSH)
                self._reply_to_option(option, _REPLY_INFO, export)
                self._reply_to_option(option, _REPLY_ACK)
                return
            self._reply_to_option(option, _REPLY_UNSUPPORTED)

    def _reply_to_option(self, option: int, reply: int, data: bytes = b"") -> None:
        header = _OPTION_REPLY.pack(_OPTION_REPLY_MAGIC, option, reply, len(data))
        self._connection.sendall(header + data)

    def _take_requests(self) -> list[_Request]:
        """All that has arrived, at least one; none: the client says goodbye."""
        requests = [self._take_request()]
        while self._holds_request():
            requests.append(self._take_request())
        return [request for request in requests if request.command is not _Command.DISCONNECT]

    def _holds_request(self) -> bool:
        with contextlib.suppress(BlockingIOError):
            self._received += self._connection.recv(_CHUNK_BYTES, socket.MSG_DONTWAIT)
        return len(self._received) >= _REQUEST.size

    def _take_request(self) -> _Request:
        magic, _, command, cookie, offset, length = _REQUEST.unpack(self._take(_REQUEST.size))
        if magic != _REQUEST_MAGIC:
            raise OSError("the client does not speak NBD")
        data = self._take(length) if command == _Command.WRITE else b""
        return _Request(_Command(command), cookie, offset, length, data)

    def _answer(self, requests: list[_Request]) -> None:
        answered_writes = self._writes
        for request in requests:
            if request.command is _Command.WRITE:
                self._disk[request.offset : request.offset + request.length] = request.data
                self._events.write(request.offset, request.data)
                self._writes += 1
        if any(request.command is _Command.FLUSH for request in requests):
            self._events.flush(answered_writes)
        for request in requests:
            self._connection.sendall(_ANSWER.pack(_ANSWER_MAGIC, 0, request.cookie))
            if request.command is _Command.READ:
                end = request.offset + request.length
                self._connection.sendall(self._disk[request.offset : end])

    def _take(self, count: int) -> bytes:
        while len(self._received) < count:
            data = self._connection.recv(_CHUNK_BYTES)
            if not data:
                raise EOFError
            self._received += data
        taken = bytes(self._received[:count])
        del self._received[:count]
        return taken
