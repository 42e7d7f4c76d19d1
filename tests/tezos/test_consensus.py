"""Rules of `tezos.consensus`, one behaviour each.

Vectors: test_consensus_vectors.py; what holds for every payload: test_consensus_properties.py.
"""

import re
from itertools import pairwise, product
from pathlib import Path

import pytest

from tests import payloads
from tezos import consensus
from tezos.consensus import DAL_LIMIT_BYTES, ConsensusPayload, Kind, parse_payload
from tezos.errors import BadPayload
from tezos.keys import KeyType

_SLOT_TYPES = (KeyType.TZ1, KeyType.TZ2, KeyType.TZ3)

# "#   offset 0  size 1" and "#  87+F  32" in the comments: start of a table, offset, size.
_TABLE_ROW = re.compile(r"^# +(offset )?(\d+)(?:\+F)? +(?:size +)?([\dF][\d+]*)", re.MULTILINE)


def refused(payload: bytes, key_type: KeyType = KeyType.TZ4) -> bool:
    """Whether the parser says BadPayload; anything else it raises goes through."""
    try:
        parse_payload(payload, key_type)
    except BadPayload:
        return True
    return False


@pytest.mark.parametrize("payload", [bytearray(b"\x11"), memoryview(b"\x11")])
def test_only_immutable_bytes_are_taken(payload: bytes) -> None:
    with pytest.raises(TypeError):
        parse_payload(payload, KeyType.TZ4)


def test_slot_bearing_vote_is_refused_for_tz4() -> None:
    assert refused(payloads.preattestation("tz1", 10_511_340, 0))
    assert refused(payloads.attestation("tz1", 10_511_340, 0))
    assert refused(payloads.attestation("tz1", 10_511_340, 0, dal=b"\x01"))


@pytest.mark.parametrize("key_type", _SLOT_TYPES)
def test_tz4_vote_is_refused_for_the_other_types(key_type: KeyType) -> None:
    assert refused(payloads.preattestation("tz4", 10_511_340, 0), key_type)
    assert refused(payloads.attestation("tz4", 10_511_340, 0), key_type)


def test_watermark_tag_length_and_key_type_must_agree() -> None:
    tz4 = {(0x12, 0x28, 78), (0x13, 0x29, 78)}
    slot = {(0x12, 0x14, 80), (0x13, 0x15, 80), (0x13, 0x17, 82)}
    for watermark, tag, size in product(range(0x10, 0x15), range(256), (78, 80, 82)):
        payload = bytearray(payloads.vote(0x13, 0x17, 7, 1, dal=b"\x80\x20")[:size])
        payload[0], payload[37] = watermark, tag
        form = (watermark, tag, size)
        assert refused(bytes(payload), KeyType.TZ4) == (form not in tz4), form
        for key_type in _SLOT_TYPES:
            assert refused(bytes(payload), key_type) == (form not in slot), form


def test_every_other_watermark_is_refused() -> None:
    block, vote = payloads.block(1, 0), payloads.attestation("tz4", 1, 0)
    accepted = [
        (first, len(payload))
        for first, payload in product(range(256), (block, vote))
        if not refused(bytes((first,)) + payload[1:])
    ]
    assert accepted == [(0x11, len(block)), (0x13, len(vote))]


@pytest.mark.parametrize("value", [-1, -(2**31)])
def test_negative_level_or_round_is_refused(value: int) -> None:
    assert refused(payloads.attestation("tz4", value, 0))
    assert refused(payloads.attestation("tz4", 0, value))
    assert refused(payloads.preattestation("tz1", value, 0), KeyType.TZ1)
    assert refused(payloads.preattestation("tz1", 0, value), KeyType.TZ1)
    assert refused(payloads.block(value, 0))
    assert refused(payloads.block(0, value, payload_round=0))
    assert refused(payloads.block(0, value, payload_round=value))


@pytest.mark.parametrize(
    "payload",
    [
        pytest.param(payloads.block(9, 3, validation_pass=3), id="validation pass 3"),
        pytest.param(payloads.block(9, 3, validation_pass=5), id="validation pass 5"),
        pytest.param(payloads.block(9, 3, payload_round=4), id="payload round after round"),
        pytest.param(payloads.block(9, 3, payload_round=-1), id="negative payload round"),
        pytest.param(payloads.block(9, 3, locked_round=3), id="locked round equals round"),
        pytest.param(payloads.block(9, 3, locked_round=4), id="locked round after round"),
        pytest.param(payloads.block(9, 3, locked_round=-1), id="negative locked round"),
        pytest.param(payloads.block(9, 3, predecessor_round=-1), id="negative predecessor round"),
        pytest.param(
            payloads.block(9, 3, fitness_bytes=payloads.fitness(10, 3)), id="another level"
        ),
        pytest.param(
            payloads.block(9, 3, fitness_bytes=payloads.fitness(9, 3, version=1)), id="version 1"
        ),
        pytest.param(
            payloads.block(9, 3, fitness_bytes=payloads.fitness(9, 3, version=3)), id="version 3"
        ),
        pytest.param(payloads.block(9, 3, fitness_bytes=b"\0" * 33), id="empty fitness elements"),
        pytest.param(payloads.block(9, 3, fitness_bytes=b""), id="no fitness"),
    ],
)
def test_block_with_a_wrong_inner_field_is_refused(payload: bytes) -> None:
    assert refused(payload)


@pytest.mark.parametrize("locked_round", [None, 1])
@pytest.mark.parametrize("seed", [None, bytes(32)])
def test_every_framing_byte_of_a_block_is_fixed(
    locked_round: int | None, seed: bytes | None
) -> None:
    payload = payloads.block(9, 3, locked_round=locked_round, seed_nonce_hash=seed)
    fitness_size = 33 if locked_round is None else 37
    level_in_fitness = range(87 + 9, 87 + 13)
    lengths = [*range(83, 87 + 9), *level_in_fitness, *range(87 + 13, 87 + 17)]
    lengths += range(87 + fitness_size - 16, 87 + fitness_size - 12)
    lengths += range(87 + fitness_size - 8, 87 + fitness_size - 4)
    for offset in (*lengths, 50, 163 + fitness_size):
        for bit in range(8):
            damaged = bytearray(payload)
            damaged[offset] ^= 1 << bit
            assert refused(bytes(damaged)), offset


def test_block_length_of_another_shape_is_refused() -> None:
    short, locked = payloads.block(9, 3), payloads.block(9, 3, locked_round=1)
    assert refused(short[:-1] + b"\xff" + bytes(32) + b"\0")  # one byte too many for 230
    assert refused(locked[:-2])
    assert refused(short[:83] + (37).to_bytes(4, "big") + short[87:])
    assert refused(locked[:83] + (33).to_bytes(4, "big") + locked[87:])


def test_round_of_a_block_is_that_of_its_fitness_not_its_payload_round() -> None:
    payload = payloads.block(9, 3, payload_round=1, locked_round=1, predecessor_round=2)
    assert parse_payload(payload, KeyType.TZ4).round == 3


@pytest.mark.parametrize(
    "dal",
    [
        pytest.param(b"\x80", id="unterminated"),
        pytest.param(b"\xff\xff", id="unterminated twice"),
        pytest.param(b"\x01\x01", id="ends early"),
        pytest.param(b"\x81\x01\x01", id="ends early, later"),
        pytest.param(b"\x81\x00", id="trailing zero group"),
        pytest.param(b"\x80\x80\x00", id="zero in three groups"),
        pytest.param(b"\x40", id="minus zero"),
        pytest.param(b"\x41", id="minus one"),
        pytest.param(b"\xc0\x01", id="negative"),
        pytest.param(b"\x80" * DAL_LIMIT_BYTES + b"\x01", id="too long"),
    ],
)
def test_dal_content_that_is_no_bitset_is_refused(dal: bytes) -> None:
    assert refused(payloads.attestation("tz1", 9, 3, dal=dal), KeyType.TZ1)


@pytest.mark.parametrize(
    "dal", [b"\x00", b"\x3f", b"\x80\x20", b"\x80" * (DAL_LIMIT_BYTES - 1) + b"\x01"]
)
def test_dal_content_may_be_any_canonical_bitset(dal: bytes) -> None:
    assert not refused(payloads.attestation("tz1", 9, 3, dal=dal), KeyType.TZ1)


def test_dal_tag_without_content_is_refused() -> None:
    assert refused(payloads.vote(0x13, 0x17, 9, 3), KeyType.TZ1)


def test_dal_content_on_a_preattestation_is_refused() -> None:
    assert refused(payloads.vote(0x12, 0x17, 9, 3, dal=b"\x01"), KeyType.TZ1)
    assert refused(payloads.vote(0x12, 0x14, 9, 3, dal=b"\x01"), KeyType.TZ1)


@pytest.mark.parametrize(
    ("chain_id", "level", "round_"),
    [(b"123", 0, 0), (b"12345", 0, 0), (b"1234", -1, 0), (b"1234", 0, 2**31), (b"1234", 2**31, 0)],
)
def test_impossible_value_cannot_be_made(chain_id: bytes, level: int, round_: int) -> None:
    with pytest.raises(BadPayload):
        ConsensusPayload(kind=Kind.BLOCK, chain_id=chain_id, level=level, round=round_)


def test_offset_tables_have_no_gap_and_end_at_the_size() -> None:
    text = Path(consensus.__file__).read_text(encoding="utf-8")
    tables: list[list[tuple[int, int]]] = []
    for start, offset, size in _TABLE_ROW.findall(text):
        if start:
            tables.append([])
        tables[-1].append((int(offset), sum(map(int, size.replace("F", "0").split("+")))))
    for table in tables:
        assert all(at + size == following for (at, size), (following, _) in pairwise(table))
    assert [sum(table[-1]) for table in tables] == [
        consensus._BLS_VOTE.size,
        consensus._SLOT_VOTE.size + 1,  # DAL content,
        consensus._HEADER.size + consensus._CONTENTS.size,
        consensus._FITNESS.size - 16,  # two elements without a fixed offset
    ]
