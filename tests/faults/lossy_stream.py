"""A stream that by chance loses a whole frame, or brings it twice, in both directions.

Between the broker and a real endpoint: the bytes are cut into frames, and what is left of them goes
on. It can also stall, and then let all go that has come meanwhile, in one piece.
"""

from collections import Counter, deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from enum import StrEnum
from random import Random

import trio

from broker.frame import Frame, FrameReader, encode_frame
from broker.stream import ByteStream

__all__ = ["Fate", "LossyStream"]


class Fate(StrEnum):
    ARRIVED = "arrived"
    LOST = "lost"
    DOUBLED = "doubled"


_COPIES = {Fate.ARRIVED: 1, Fate.LOST: 0, Fate.DOUBLED: 2}


class LossyStream:
    """Implements `broker.stream.ByteStream`; owns the stream below.

    Args:
        chance: of a frame to be lost, and again of one to be doubled.

    `counts` has "accept lost" and the like: the type tells the direction, as only one end asks.
    """

    def __init__(self, stream: ByteStream, random: Random, chance: float) -> None:
        self.counts: Counter[str] = Counter()
        self._stream = stream
        self._random = random
        self._weights = (1 - 2 * chance, chance, chance)
        self._cutter = FrameReader()
        self._received: deque[bytes] = deque()
        self._stalled: dict[bytes, bytes] | None = None
        self._sending = trio.Lock()

    @asynccontextmanager
    async def stall(self) -> AsyncIterator[None]:
        """Holds back what is sent in the block, once for each id, and sends it at its end."""
        self._stalled = {}
        yield
        held, self._stalled = self._stalled, None
        async with self._sending:  # the broker knows nothing of this one
            await self._stream.send(b"".join(held.values()))

    async def receive(self) -> bytes:
        while not self._received:
            data = await self._stream.receive()
            now_s = trio.current_time()
            self._cutter.feed(data, now_s)
            while (frame := self._cutter.next_frame(now_s)) is not None:
                self._received.extend([encode_frame(frame)] * self._copies_of(frame))
        return self._received.popleft()

    async def send(self, data: bytes) -> None:
        """The broker hands over one frame at a time."""
        reader = FrameReader()
        reader.feed(data, 0)
        frame = reader.next_frame(0)
        assert frame is not None
        assert reader.waiting_bytes == 0
        if self._stalled is not None and frame.id in self._stalled:
            return
        copies = data * self._copies_of(frame)
        if self._stalled is not None and copies:
            self._stalled[frame.id] = copies
        elif copies:
            async with self._sending:
                await self._stream.send(copies)

    async def aclose(self) -> None:
        await self._stream.aclose()

    def _copies_of(self, frame: Frame) -> int:
        (fate,) = self._random.choices(list(Fate), self._weights)
        self.counts[f"{frame.type.name.lower()} {fate}"] += 1
        return _COPIES[fate]
