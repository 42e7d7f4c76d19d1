"""One end of a link that a test plays by hand, frame by frame."""

import trio

from broker.frame import Frame, FrameReader, FrameType, encode_frame
from broker.stream import ByteStream

__all__ = ["RawEnd", "number_id"]


def number_id(number: int) -> bytes:
    """Returns an id that differs for each number and is never zero."""
    return bytes([0xA5]) + number.to_bytes(15, "little")


class RawEnd:
    """Sends and receives single frames; does nothing by itself."""

    def __init__(self, stream: ByteStream) -> None:
        self.stream = stream
        self._reader = FrameReader()

    async def send(self, kind: FrameType, request_id: bytes, payload: bytes = b"") -> None:
        await self.stream.send(encode_frame(Frame(kind, request_id, payload)))

    async def receive(self) -> Frame:
        while (frame := self._reader.next_frame(trio.current_time())) is None:
            self._reader.feed(await self.stream.receive(), trio.current_time())
        return frame

    async def receive_kind(self, kind: FrameType) -> Frame:
        """Returns the next frame of that kind and ignores others before it."""
        while (frame := await self.receive()).type is not kind:
            pass
        return frame
