"""Frames cut out of a stream: whole, byte by byte, with junk around, after a half frame."""

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from broker.contract import OUT_TRANSFER_BYTES, PARTIAL_FRAME_S
from broker.frame import HEADER_BYTES, Frame, FrameReader, FrameType, encode_frame
from tests.fakes.frames import number_id

FRAMES = [
    Frame(FrameType.REQUEST, number_id(1), b"first"),
    Frame(FrameType.ACCEPT, number_id(1)),
    Frame(FrameType.RESPONSE, number_id(1), bytes(600)),
    Frame(FrameType.KEEP_ALIVE, bytes(16)),
    Frame(FrameType.RETRY, bytes(16)),
    Frame(FrameType.REQUEST, number_id(2), b"V" * 100),
]
STREAM = b"".join(encode_frame(frame) for frame in FRAMES)
# No byte of it can begin a frame.
JUNK = bytes(value for value in range(256) if value != 0x56)


def drain(reader: FrameReader, now_s: float) -> list[Frame]:
    return list(iter(lambda: reader.next_frame(now_s), None))


def read_pieces(pieces: list[bytes], reader: FrameReader | None = None) -> list[Frame]:
    reader = reader or FrameReader()
    frames = []
    for piece in pieces:
        reader.feed(piece, 0.0)
        frames += drain(reader, 0.0)
    return frames


def test_frames_in_one_piece_are_found() -> None:
    reader = FrameReader()
    assert read_pieces([STREAM], reader) == FRAMES
    assert reader.skipped_bytes == 0
    assert reader.waiting_bytes == 0
    assert reader.deadline_s is None


def test_frames_byte_by_byte_are_found() -> None:
    assert read_pieces([bytes([byte]) for byte in STREAM]) == FRAMES


@pytest.mark.parametrize("cut", range(1, 60))
def test_frames_cut_anywhere_are_found(cut: int) -> None:
    assert read_pieces([STREAM[:cut], STREAM[cut:]]) == FRAMES


@pytest.mark.parametrize("junk", [b"\x00", b"V", b"V" * 50, JUNK, b"VVV\x01\x00V"])
def test_junk_around_frames_is_skipped(junk: bytes) -> None:
    reader = FrameReader()
    data = b"".join(junk + encode_frame(frame) for frame in FRAMES)
    assert read_pieces([data], reader) == FRAMES
    assert reader.skipped_bytes == len(junk) * len(FRAMES)
    assert read_pieces([bytes([byte]) for byte in data]) == FRAMES


def test_junk_alone_waits_for_nothing() -> None:
    reader = FrameReader()
    assert read_pieces([JUNK * 10], reader) == []
    assert (reader.waiting_bytes, reader.skipped_bytes) == (0, len(JUNK) * 10)
    assert reader.deadline_s is None


def test_a_frame_larger_than_a_transfer_is_put_together() -> None:
    frame = Frame(FrameType.RESPONSE, number_id(3), bytes(range(256)) * 400)
    data = encode_frame(frame)
    cuts = [*range(0, len(data), OUT_TRANSFER_BYTES), len(data)]
    assert read_pieces([data[start:end] for start, end in pairwise(cuts)]) == [frame]


def test_whole_chunk_is_not_copied_but_for_the_payload() -> None:
    """What the caller gets are bytes of its own, not a view of a buffer."""
    reader = FrameReader()
    for pieces in ([STREAM], [STREAM[:30], STREAM[30:]]):
        assert {type(frame.payload) for frame in read_pieces(pieces, reader)} == {bytes}


def test_half_frame_of_a_dead_host_does_not_swallow_the_next_request() -> None:
    reader = FrameReader()
    half = encode_frame(Frame(FrameType.REQUEST, number_id(1), bytes(3000)))[:500]
    reader.feed(half, 10.0)
    assert drain(reader, 10.0) == []
    assert reader.deadline_s == 10.0 + PARTIAL_FRAME_S
    reader.feed(STREAM, 10.2)
    assert drain(reader, 10.24) == []
    assert drain(reader, 10.25) == FRAMES
    assert reader.skipped_bytes == len(half)
    assert reader.deadline_s is None


def test_each_half_frame_is_given_up_by_its_own_first_byte() -> None:
    reader = FrameReader()
    half = encode_frame(Frame(FrameType.REQUEST, number_id(1), bytes(100_000)))[:500]
    for number in range(5):
        reader.feed(half, number * 0.01)
        assert drain(reader, number * 0.01) == []
    reader.feed(STREAM, 0.2)
    assert drain(reader, 0.2) == []
    assert drain(reader, 0.28) == []
    assert drain(reader, 0.04 + PARTIAL_FRAME_S) == FRAMES
    assert reader.skipped_bytes == 5 * len(half)


def test_half_frame_is_given_up_even_if_nobody_asked_meanwhile() -> None:
    reader = FrameReader()
    reader.feed(encode_frame(Frame(FrameType.REQUEST, number_id(1), bytes(400)))[:100], 0.0)
    assert drain(reader, 0.0) == []
    reader.feed(STREAM, 60.0)
    assert drain(reader, 60.0) == FRAMES


@pytest.mark.parametrize("size", range(1, HEADER_BYTES))
def test_part_of_a_header_is_given_up_too(size: int) -> None:
    reader = FrameReader()
    reader.feed(STREAM[:size], 0.0)
    assert drain(reader, 0.0) == []
    assert reader.deadline_s == PARTIAL_FRAME_S
    assert drain(reader, PARTIAL_FRAME_S) == []
    assert reader.waiting_bytes == 0


def test_half_frames_within_half_frames_are_given_up_together() -> None:
    reader = FrameReader()
    nested = encode_frame(Frame(FrameType.REQUEST, number_id(1), bytes(5000)))[:HEADER_BYTES] * 50
    reader.feed(nested, 0.0)
    assert drain(reader, 0.0) == []
    assert drain(reader, PARTIAL_FRAME_S) == []
    assert reader.waiting_bytes == 0


def test_bytes_that_come_slowly_do_not_prolong_the_wait() -> None:
    reader = FrameReader()
    data = encode_frame(Frame(FrameType.REQUEST, number_id(1), JUNK * 4))
    for index in range(5):
        reader.feed(data[index * 30 : index * 30 + 30], index * 0.06)
        assert drain(reader, index * 0.06) == []
        assert reader.deadline_s == (PARTIAL_FRAME_S if index < 5 else None)
    reader.feed(data[150:], 0.3)
    assert drain(reader, 0.3) == []
    assert reader.waiting_bytes == 0


def test_slow_frame_within_the_time_is_read() -> None:
    reader = FrameReader()
    reader.feed(STREAM[:10], 0.0)
    assert drain(reader, 0.0) == []
    reader.feed(STREAM[10:], 0.2499)
    assert drain(reader, 0.2499) == FRAMES


def test_what_waits_is_bounded() -> None:
    limit = 1000
    reader = FrameReader(payload_limit=limit)
    largest = encode_frame(Frame(FrameType.REQUEST, number_id(1), bytes(limit)))
    for _ in range(3):
        read_pieces([largest[:-1]], reader)
        assert reader.waiting_bytes < HEADER_BYTES + limit
    reader.feed(largest, 0.0)
    with pytest.raises(ValueError, match="next_frame"):
        reader.feed(largest, 0.0)


def test_cleared_reader_starts_anew() -> None:
    reader = FrameReader()
    read_pieces([STREAM[:100]], reader)
    reader.clear()
    assert (reader.waiting_bytes, reader.deadline_s) == (0, None)
    assert read_pieces([STREAM], reader) == FRAMES


@settings(deadline=None)
@given(st.lists(st.binary(max_size=300) | st.sampled_from([STREAM, STREAM[:50], b"V\x01"])))
def test_any_bytes_leave_less_than_one_frame_waiting(pieces: list[bytes]) -> None:
    reader = FrameReader(payload_limit=200)
    fed = 0
    for now_s, piece in enumerate(pieces):
        reader.feed(piece, now_s / 10)
        fed += len(piece)
        drain(reader, now_s / 10)
        assert reader.waiting_bytes < HEADER_BYTES + 200
        assert reader.skipped_bytes + reader.waiting_bytes <= fed
        assert (reader.deadline_s is None) == (reader.waiting_bytes == 0)
    drain(reader, 1000.0)
    assert reader.waiting_bytes == 0


@settings(deadline=None)
@given(st.lists(st.integers(1, 700), max_size=20), st.binary(max_size=30))
def test_frames_in_any_pieces_with_any_junk_before_are_found(cuts: list[int], junk: bytes) -> None:
    """After the time of a half frame at the latest, which the junk may contain."""
    data = junk + STREAM
    places = sorted({0, len(data), *(cut for cut in cuts if cut < len(data))})
    reader = FrameReader()
    frames = read_pieces([data[start:end] for start, end in pairwise(places)], reader)
    frames += drain(reader, PARTIAL_FRAME_S)
    assert frames == FRAMES
