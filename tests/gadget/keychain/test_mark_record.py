"""The bytes of marks: nothing but what was written is ever read back."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gadget.keychain.errors import WatermarkUnusable
from gadget.keychain.mark_record import (
    BLOCK_BYTES,
    BadMarks,
    MarkSealer,
    StoredMarks,
    choose_newest,
    decode_marks,
    encode_marks,
)
from gadget.keychain.marks import CHAINS_LIMIT, ChainMarks, Mark, Marks
from gadget.keychain.secret import Secret

_INT32 = st.integers(0, 2**31 - 1)
_MARK = st.none() | st.builds(
    Mark,
    level=_INT32,
    round=_INT32,
    payload_hash=st.binary(min_size=32, max_size=32),
    may_resign=st.booleans(),
)
_CHAIN_ID = st.binary(min_size=4, max_size=4)
_MARKS = st.builds(
    Marks,
    chains=st.lists(
        st.builds(
            ChainMarks,
            chain_id=_CHAIN_ID,
            signed_level=st.none() | _INT32,
            block=_MARK,
            preattestation=_MARK,
            attestation=_MARK,
        ),
        max_size=CHAINS_LIMIT,
        unique_by=lambda chain: chain.chain_id,
    ).map(tuple),
    last_level=st.none() | _INT32,
    bound_chain=st.none() | _CHAIN_ID,
)
_SEALER = MarkSealer(Secret(b"k" * 32), b"context")
_SAMPLE = Marks(
    chains=(
        ChainMarks(
            chain_id=b"abcd",
            signed_level=7,
            block=Mark(level=7, round=1, payload_hash=b"h" * 32, may_resign=True),
        ),
    )
)


def _block(sequence: int = 9, marks: Marks = _SAMPLE, slot: int = 0) -> bytes:
    return _SEALER.encode_block(slot, sequence, encode_marks(marks), b"n" * 12)


@given(_MARKS)
def test_marks_come_back_as_they_were(marks: Marks) -> None:
    assert decode_marks(encode_marks(marks)) == marks


@given(st.binary(max_size=300))
def test_junk_is_refused_or_is_what_would_be_written(junk: bytes) -> None:
    try:
        marks = decode_marks(junk)
    except BadMarks:
        return
    assert encode_marks(marks) == junk


def test_no_part_of_marks_and_nothing_after_them_is_taken() -> None:
    body = encode_marks(_SAMPLE)
    for damaged in (*(body[:size] for size in range(len(body))), body + b"\0"):
        with pytest.raises(BadMarks):
            decode_marks(damaged)


def test_unknown_flags_and_bytes_that_should_be_zero_are_refused() -> None:
    body = encode_marks(_SAMPLE)
    for at in (4, 10, 11, 12 + 4 + 4 + 8, 12 + 8 + 41, 12 + 131, len(body) - 1):
        damaged = bytearray(body)
        damaged[at] |= 0x80
        with pytest.raises(BadMarks):
            decode_marks(bytes(damaged))


@given(_MARKS, st.integers(0, 2**64 - 1), st.sampled_from((0, 1)))
def test_a_block_comes_back_as_it_was(marks: Marks, sequence: int, slot: int) -> None:
    block = _block(sequence, marks, slot)
    assert len(block) == BLOCK_BYTES
    assert _SEALER.decode_block(slot, block) == StoredMarks(sequence=sequence, marks=marks)


def test_no_changed_bit_of_a_block_opens() -> None:
    block = _block()
    end = 36 + len(encode_marks(_SAMPLE)) + 16
    assert not any(block[end:])
    for at in range(end):
        damaged = bytearray(block)
        damaged[at] ^= 0x10
        with pytest.raises(BadMarks):
            _SEALER.decode_block(0, bytes(damaged))


@pytest.mark.parametrize(
    "content",
    [
        b"",
        bytes(BLOCK_BYTES),
        b"\xff" * BLOCK_BYTES,
        _block()[:-1],
        _block() + b"\0",
        _block()[:512],
    ],
    ids=["empty", "zero", "ones", "short", "long", "one sector"],
)
def test_a_block_that_is_not_whole_is_refused(content: bytes) -> None:
    with pytest.raises(BadMarks):
        _SEALER.decode_block(0, content)


def test_a_block_of_the_other_slot_is_refused() -> None:
    with pytest.raises(BadMarks):
        _SEALER.decode_block(1, _block(slot=0))


def test_a_block_that_claims_to_be_of_the_other_slot_is_refused() -> None:
    moved = bytearray(_block(slot=0))
    moved[10] = 1
    with pytest.raises(BadMarks):
        _SEALER.decode_block(1, bytes(moved))


def test_a_block_of_another_key_is_refused() -> None:
    for other in (
        MarkSealer(Secret(b"k" * 32), b"context of another key"),
        MarkSealer(Secret(b"l" * 32), b"context"),
    ):
        with pytest.raises(BadMarks):
            other.decode_block(0, _block())


def test_a_block_of_another_format_is_refused() -> None:
    newer = bytearray(_block())
    newer[8] = 2
    with pytest.raises(BadMarks):
        _SEALER.decode_block(0, bytes(newer))


def _stored(sequence: int, level: int | None = None) -> StoredMarks:
    return StoredMarks(sequence=sequence, marks=Marks(last_level=level))


def test_newest_whole_slot_wins() -> None:
    assert choose_newest((_stored(4), _stored(5))) == _stored(5)
    assert choose_newest((_stored(6), _stored(5))) == _stored(6)
    assert choose_newest((_stored(5), _stored(5))) == _stored(5)


def test_the_only_whole_slot_wins() -> None:
    assert choose_newest((None, _stored(5))) == _stored(5)
    assert choose_newest((_stored(5), None)) == _stored(5)


def test_no_whole_slot_is_unusable_never_zero() -> None:
    with pytest.raises(WatermarkUnusable):
        choose_newest((None, None))


def test_equal_numbers_with_different_content_are_unusable() -> None:
    with pytest.raises(WatermarkUnusable, match="contradict"):
        choose_newest((_stored(5, 1), _stored(5, 2)))
