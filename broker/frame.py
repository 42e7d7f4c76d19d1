"""Frames: how requests and answers are cut out of a stream of bytes. Pure; the time is passed in.

Header, 23 bytes, little-endian, then the payload:

| offset | size | type | meaning                                                |
|--------|------|------|--------------------------------------------------------|
| 0      | 1    | u8   | magic 0x56                                             |
| 1      | 1    | u8   | type: 1 request, 2 response, 3 accept, 4 retry, 5 keep-alive |
| 2      | 16   | raw  | id of the request; zero where a frame belongs to none  |
| 18     | 4    | u32  | payload size; 0 for accept, retry and keep-alive       |
| 22     | 1    | u8   | parity: XOR of the 22 bytes before                     |

The reader never fails: what is no frame is skipped and counted. `broker.peer` feeds it. Source:
docs/protocol.md.
"""

import struct
from enum import IntEnum, unique
from typing import Final, NamedTuple

from broker.contract import PARTIAL_FRAME_S, PAYLOAD_LIMIT_BYTES

__all__ = ["HEADER_BYTES", "ID_BYTES", "NO_ID", "Frame", "FrameReader", "FrameType", "encode_frame"]

_MAGIC: Final = 0x56
_FIELDS: Final = struct.Struct("<BB16sI")
_HEADER: Final = struct.Struct("<BB16sIB")
# The same 22 bytes as four numbers: XOR of numbers folds eight bytes at a time.
_WORDS: Final = struct.Struct("<QQIH")

HEADER_BYTES: Final = _HEADER.size
ID_BYTES: Final = 16
NO_ID: Final = bytes(ID_BYTES)


@unique
class FrameType(IntEnum):
    REQUEST = 1
    RESPONSE = 2
    ACCEPT = 3
    RETRY = 4
    KEEP_ALIVE = 5


_TYPES: Final = {int(kind): kind for kind in FrameType}
_WITH_PAYLOAD: Final = frozenset({FrameType.REQUEST, FrameType.RESPONSE})


class Frame(NamedTuple):
    """One frame. A named tuple, as one is made per frame: a checked dataclass costs three times it.

    `encode_frame` checks what is sent, FrameReader what is received.
    """

    type: FrameType
    id: bytes
    payload: bytes = b""

    def __repr__(self) -> str:
        """Says how much content there is, never what."""
        return f"Frame({self.type.name}, {self.id.hex()}, {len(self.payload)} bytes)"


def encode_frame(frame: Frame, *, payload_limit: int = PAYLOAD_LIMIT_BYTES) -> bytes:
    """Raises ValueError for an id that is not 16 bytes or a payload that the type may not have."""
    kind, request_id, payload = frame
    size = len(payload)
    if len(request_id) != ID_BYTES:
        raise ValueError(f"a frame id has {ID_BYTES} bytes, not {len(request_id)}")
    if size > (payload_limit if kind in _WITH_PAYLOAD else 0):
        raise ValueError(f"{size} bytes are too many for the payload of {kind.name}")
    fields = _FIELDS.pack(_MAGIC, kind, request_id, size)
    return b"%b%c%b" % (fields, _parity(fields, 0), payload)


def _parity(data: bytes | bytearray, start: int) -> int:
    first, second, third, fourth = _WORDS.unpack_from(data, start)
    word: int = first ^ second ^ third ^ fourth
    word ^= word >> 32
    word ^= word >> 16
    return (word ^ word >> 8) & 0xFF


class FrameReader:
    """Cuts frames out of the bytes fed to it, and finds the next one after junk.

    A frame that is incomplete for `partial_s` is given up: its first byte is dropped and the rest
    is searched again, so that the half frame of a host that died does not swallow the next one's
    first request. Between two calls of `feed`, call `next_frame` until it returns None: then less
    than one header and one payload wait here.
    """

    def __init__(
        self, *, payload_limit: int = PAYLOAD_LIMIT_BYTES, partial_s: float = PARTIAL_FRAME_S
    ) -> None:
        self._payload_limit = payload_limit
        self._partial_s = partial_s
        self._data: bytes | bytearray = b""
        self._start = 0
        self._fed_s = 0.0  # when the first byte that is kept came
        self._later: list[tuple[int, float]] = []  # where bytes begin that came later, and when
        self._deadline_s: float | None = None
        self._skipped = 0

    @property
    def deadline_s(self) -> float | None:
        """When to call `next_frame` again even if nothing comes; None if no frame is incomplete."""
        return self._deadline_s

    @property
    def skipped_bytes(self) -> int:
        """How many bytes have been dropped so far."""
        return self._skipped

    @property
    def waiting_bytes(self) -> int:
        """How many bytes wait for the rest of their frame."""
        return len(self._data) - self._start

    def feed(self, data: bytes, now_s: float) -> None:
        """Takes what the stream received; the caller may not change it afterwards."""
        if self._start == len(self._data):  # the usual case keeps the chunk as it is
            self._data = data
            self._start = 0
            self._fed_s = now_s
            return
        if self.waiting_bytes >= HEADER_BYTES + self._payload_limit:
            raise ValueError("feed() without next_frame() in between")
        if self._deadline_s is not None and now_s >= self._deadline_s:
            self._skip()
        if isinstance(self._data, bytes):
            self._data = bytearray(self._data)
        self._fed_s = self._came_s()
        self._later = [(at - self._start, s) for at, s in self._later if at > self._start]
        del self._data[: self._start]
        self._later.append((len(self._data), now_s))
        self._data += data
        self._start = 0

    def next_frame(self, now_s: float) -> Frame | None:
        """Returns the next whole frame; None means that more bytes, or more time, are needed."""
        while self._start < len(self._data):
            header = self._parse_header()
            if header is None:
                self._skip()
                continue
            kind, request_id, end = header
            if end <= len(self._data):
                payload = self._data[self._start + HEADER_BYTES : end]
                self._start = end
                self._deadline_s = None
                if end == len(self._data):
                    self.clear()
                return Frame(kind, request_id, bytes(payload))
            if self._deadline_s is None:
                self._deadline_s = self._came_s() + self._partial_s
            if now_s < self._deadline_s:
                return None
            self._skip()
        return None

    def clear(self) -> None:
        """Forgets what waits."""
        self._data = b""
        self._start = 0
        self._later.clear()
        self._deadline_s = None

    def _came_s(self) -> float:
        """When the byte came that is searched now."""
        came_s = self._fed_s
        for at, fed_s in self._later:
            if at > self._start:
                break
            came_s = fed_s
        return came_s

    def _parse_header(self) -> tuple[FrameType, bytes, int] | None:
        """Returns type, id and where the frame ends; None if no frame starts here."""
        data, start = self._data, self._start
        if len(data) - start < HEADER_BYTES:
            if data[start] != _MAGIC:
                return None
            return FrameType.KEEP_ALIVE, NO_ID, start + HEADER_BYTES  # at least so much is missing
        magic, kind_code, request_id, size, parity = _HEADER.unpack_from(data, start)
        kind = _TYPES.get(kind_code)
        if magic != _MAGIC or kind is None or parity != _parity(data, start):
            return None
        if size > self._payload_limit or (size and kind not in _WITH_PAYLOAD):
            return None
        return kind, request_id, start + HEADER_BYTES + size

    def _skip(self) -> None:
        """Drops the first byte and what follows it up to where a frame could start."""
        found = self._data.find(_MAGIC, self._start + 1)
        end = found if found >= 0 else len(self._data)
        self._skipped += end - self._start
        self._start = end
        self._deadline_s = None
        if found < 0:
            self.clear()
