"""Single frames: the header, what may not be sent, what is not taken for a frame."""

import functools
import operator
import re
import struct

import pytest

import broker.frame
from broker.contract import PAYLOAD_LIMIT_BYTES
from broker.frame import HEADER_BYTES, Frame, FrameReader, FrameType, encode_frame
from tests.fakes.frames import number_id

ID = bytes(range(16))


def read_all(data: bytes, *, payload_limit: int = PAYLOAD_LIMIT_BYTES) -> list[Frame]:
    reader = FrameReader(payload_limit=payload_limit)
    reader.feed(data, 0.0)
    return list(iter(functools.partial(reader.next_frame, 0.0), None))


def header(kind: int, size: int, *, magic: int = 0x56, request_id: bytes = ID) -> bytes:
    """Built without the code under test, parity right."""
    fields = struct.pack("<BB16sI", magic, kind, request_id, size)
    return fields + bytes([functools.reduce(operator.xor, fields)])


def test_frame_has_this_layout() -> None:
    frame = encode_frame(Frame(FrameType.REQUEST, ID, b"payload"))
    assert frame[0] == 0x56
    assert frame[1] == 1
    assert frame[2:18] == ID
    assert frame[18:22] == b"\x07\x00\x00\x00"
    assert functools.reduce(operator.xor, frame[:23]) == 0
    assert frame[23:] == b"payload"


def test_table_in_the_module_covers_the_header() -> None:
    assert broker.frame.__doc__ is not None
    rows = re.findall(r"^\| (\d+) +\| (\d+) ", broker.frame.__doc__, re.MULTILINE)
    end = 0
    for offset, size in rows:
        assert int(offset) == end
        end += int(size)
    assert end == HEADER_BYTES == 23


def test_types_have_these_numbers() -> None:
    assert {kind.name: kind.value for kind in FrameType} == {
        "REQUEST": 1,
        "RESPONSE": 2,
        "ACCEPT": 3,
        "RETRY": 4,
        "KEEP_ALIVE": 5,
    }


@pytest.mark.parametrize("kind", FrameType)
def test_each_type_comes_back(kind: FrameType) -> None:
    payload = b"p" if kind in (FrameType.REQUEST, FrameType.RESPONSE) else b""
    assert read_all(encode_frame(Frame(kind, ID, payload))) == [Frame(kind, ID, payload)]


@pytest.mark.parametrize("size", [0, 1, 488, 489, 490, 16361, 16384, PAYLOAD_LIMIT_BYTES])
def test_each_size_comes_back(size: int) -> None:
    frame = Frame(FrameType.RESPONSE, ID, bytes(size))
    assert read_all(encode_frame(frame)) == [frame]


def test_repr_hides_the_payload() -> None:
    frame = Frame(FrameType.REQUEST, ID, b"hidden")
    assert repr(frame) == "Frame(REQUEST, 000102030405060708090a0b0c0d0e0f, 6 bytes)"


def test_payload_over_the_limit_is_not_sent() -> None:
    with pytest.raises(ValueError, match="too many"):
        encode_frame(Frame(FrameType.REQUEST, ID, bytes(PAYLOAD_LIMIT_BYTES + 1)))


def test_accept_with_a_payload_is_not_sent() -> None:
    with pytest.raises(ValueError, match="ACCEPT"):
        encode_frame(Frame(FrameType.ACCEPT, ID, b"x"))


@pytest.mark.parametrize("size", [0, 15, 17])
def test_id_of_another_size_is_not_sent(size: int) -> None:
    with pytest.raises(ValueError, match="16 bytes"):
        encode_frame(Frame(FrameType.REQUEST, bytes(size)))


@pytest.mark.parametrize(
    "bad",
    [
        pytest.param(header(0, 0), id="type 0"),
        pytest.param(header(6, 0), id="type 6"),
        pytest.param(header(255, 0), id="type 255"),
        pytest.param(header(1, 0, magic=0x57), id="magic"),
        pytest.param(header(1, 101), id="size over the limit"),
        pytest.param(header(2, 2**32 - 1), id="largest size"),
        pytest.param(header(3, 1), id="accept with payload"),
        pytest.param(header(4, 1), id="retry with payload"),
        pytest.param(header(5, 1), id="keep-alive with payload"),
    ],
)
def test_bad_header_is_skipped_at_once(bad: bytes) -> None:
    good = Frame(FrameType.REQUEST, ID, b"good")
    assert read_all(bad + encode_frame(good), payload_limit=100) == [good]


@pytest.mark.parametrize("place", range(HEADER_BYTES))
@pytest.mark.parametrize("bit", [0, 7])
def test_header_corrupted_at_any_byte_is_no_frame(place: int, bit: int) -> None:
    first = bytearray(encode_frame(Frame(FrameType.REQUEST, number_id(1), b"first")))
    first[place] ^= 1 << bit
    second = Frame(FrameType.RESPONSE, number_id(2), b"second")
    assert read_all(bytes(first) + encode_frame(second)) == [second]


def test_bad_header_costs_one_byte() -> None:
    """A good frame that begins inside a bad header is found."""
    good = Frame(FrameType.REQUEST, ID, b"good")
    for overlap in range(1, HEADER_BYTES):
        data = header(9, 0)[:overlap] + encode_frame(good)
        assert read_all(data) == [good]


def test_header_with_right_parity_is_what_it_says() -> None:
    assert read_all(header(3, 0)) == [Frame(FrameType.ACCEPT, ID)]
