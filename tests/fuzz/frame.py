"""Frames in a stream that is cut and timed at will: bytes are conserved, and none stays for ever.

The first byte says how the rest is cut (bits 0-2) and timed (3-4).
"""

from collections.abc import Iterator
from functools import partial
from itertools import pairwise
from typing import Final

from broker.contract import PARTIAL_FRAME_S, PAYLOAD_LIMIT_BYTES
from broker.frame import HEADER_BYTES, NO_ID, Frame, FrameReader, FrameType, encode_frame

__all__ = ["one_input", "seeds"]

_PIECES: Final = (256, 64, 40, HEADER_BYTES + 1, HEADER_BYTES, HEADER_BYTES - 1, 11, 3)
_STEPS_S: Final = (0.0, PARTIAL_FRAME_S / 5, PARTIAL_FRAME_S, 10.0)
_ID: Final = bytes(range(16))


def one_input(data: bytes) -> None:
    if not data:
        return
    stream, piece_bytes, step_s = data[1:], _PIECES[data[0] & 7], _STEPS_S[data[0] >> 3 & 3]
    starts = (*range(0, len(stream), piece_bytes), len(stream))
    frames = _read([stream[start:end] for start, end in pairwise(starts)], step_s)
    if step_s == 0.0:
        assert frames == _read([stream], 0.0), "how a stream is cut does not matter"


def _read(pieces: list[bytes], step_s: float) -> list[Frame]:
    reader, now_s, frames = FrameReader(), 0.0, list[Frame]()
    for piece in pieces:
        reader.feed(piece, now_s)
        frames += _take(reader, now_s)
        assert reader.waiting_bytes < HEADER_BYTES + PAYLOAD_LIMIT_BYTES
        assert (reader.deadline_s is None) == (reader.waiting_bytes == 0)
        now_s += step_s
    frames += _take(reader, now_s + 2 * PARTIAL_FRAME_S)
    assert reader.waiting_bytes == 0, "what never becomes a frame is given up"
    _check_bytes(b"".join(pieces), [encode_frame(frame) for frame in frames], reader.skipped_bytes)
    return frames


def _take(reader: FrameReader, now_s: float) -> Iterator[Frame]:
    return iter(partial(reader.next_frame, now_s), None)


def _check_bytes(stream: bytes, encoded: list[bytes], skipped_bytes: int) -> None:
    assert skipped_bytes + sum(map(len, encoded)) == len(stream), "no byte counts twice"
    start = 0
    for each in encoded:  # every frame stands in the stream, and in this order
        start = stream.index(each, start) + len(each)


def seeds() -> Iterator[bytes]:
    request = encode_frame(Frame(FrameType.REQUEST, _ID, b"payload"))
    others = [encode_frame(Frame(kind, _ID)) for kind in FrameType]
    conversation = request + encode_frame(Frame(FrameType.KEEP_ALIVE, NO_ID)) + b"".join(others)
    for how in (0x00, 0x07, 0x0C, 0x15, 0x1E):
        yield bytes([how]) + conversation
        yield bytes([how]) + b"VV" + request[:-3] + conversation
        yield bytes([how]) + request[:20] + request + b"V"
    size = PAYLOAD_LIMIT_BYTES + 1
    too_large = bytearray(encode_frame(Frame(FrameType.RESPONSE, _ID, bytes(size - 1))))[:40]
    yield b"\0" + bytes(too_large) + request
