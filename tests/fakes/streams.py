"""Byte streams in memory, for both ends of a link in one process, and one that loses and repeats.

They pass tests/contract_stream.py, as the endpoint and USB streams do.
"""

import errno
from collections import deque
from random import Random

import trio

from broker.contract import OUT_TRANSFER_BYTES
from broker.stream import ByteStream

__all__ = ["LossyStream", "MemoryStream", "memory_streams"]


class _Pipe:
    """One direction: pieces in order, at most `capacity` bytes of them."""

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.pieces: deque[bytes] = deque()
        self.size = 0
        self.is_ended = False
        self.changed = trio.lowlevel.ParkingLot()


class MemoryStream:
    """One end. What is sent arrives in pieces of at most a USB transfer, never joined.

    `errors_in` and `errors_out` are raised, one each, by the next calls of receive and send.
    """

    def __init__(self, incoming: _Pipe, outgoing: _Pipe) -> None:
        self._incoming = incoming
        self._outgoing = outgoing
        self._is_closed = False
        self.errors_in: deque[Exception] = deque()
        self.errors_out: deque[Exception] = deque()

    async def receive(self) -> bytes:
        await trio.lowlevel.checkpoint_if_cancelled()
        pipe = self._incoming
        while True:
            self._check_open()
            if self.errors_in:
                raise self.errors_in.popleft()
            if pipe.pieces:
                piece = pipe.pieces.popleft()
                pipe.size -= len(piece)
                pipe.changed.unpark_all()
                return piece
            if pipe.is_ended:
                return b""
            await pipe.changed.park()

    async def send(self, data: bytes) -> None:
        await trio.lowlevel.checkpoint()
        pipe = self._outgoing
        for start in range(0, len(data), OUT_TRANSFER_BYTES):
            piece = data[start : start + OUT_TRANSFER_BYTES]
            while True:
                self._check_open()
                if self.errors_out:
                    raise self.errors_out.popleft()
                if pipe.size < pipe.capacity:
                    break
                await pipe.changed.park()
            pipe.pieces.append(piece)
            pipe.size += len(piece)
            pipe.changed.unpark_all()

    async def aclose(self) -> None:
        self._is_closed = True
        self._outgoing.is_ended = True
        self.wake()
        await trio.lowlevel.checkpoint()

    def wake(self) -> None:
        """Lets waiting tasks look again: at `errors_in`, `errors_out`, the end."""
        self._incoming.changed.unpark_all()
        self._outgoing.changed.unpark_all()

    def _check_open(self) -> None:
        if self._is_closed:
            raise OSError(errno.EBADF, "closed")


def memory_streams(*, capacity: int = 2**20) -> tuple[MemoryStream, MemoryStream]:
    """Returns the two ends. `send` waits while `capacity` bytes or more wait to be received."""
    first, second = _Pipe(capacity), _Pipe(capacity)
    return MemoryStream(first, second), MemoryStream(second, first)


class LossyStream:
    """A stream whose sends, each by chance, are lost, cut short or doubled."""

    def __init__(
        self,
        stream: ByteStream,
        *,
        seed: int,
        lose: float = 0,
        cut: float = 0,
        double: float = 0,
    ) -> None:
        self._stream = stream
        self._random = Random(seed)  # noqa: S311 - repeatable
        self._chances: list[float] = [lose, cut, double, 1 - lose - cut - double]

    async def receive(self) -> bytes:
        return await self._stream.receive()

    async def send(self, data: bytes) -> None:
        cut = data[: self._random.randrange(len(data) + 1)]
        (sent,) = self._random.choices([b"", cut, data + data, data], self._chances)
        await self._stream.send(sent)

    async def aclose(self) -> None:
        await self._stream.aclose()

    def heal(self) -> None:
        self._chances = [0, 0, 0, 1]
