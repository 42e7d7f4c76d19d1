"""Reads the bytes that a baker asks to have signed; refuses what is not exactly one known form.

Owns the layouts of blocks, preattestations and attestations. Never signs and never compares with a
watermark: `gadget.keychain` does, for every signature, so this is on the hot path and light to
import. Source: docs/tezos.md section 1; octez `block_header_repr.ml`, `fitness_repr.ml`,
`operation_repr.ml`, `dal_attestations_repr.ml` (tags v22.0 to v25.1). Integers are big-endian.

Why so strict: a slot-bearing vote that is read as a tz4 vote has its slot in the upper half of the
level, which would move the watermark far ahead and stop the baker. So watermark byte, tag, length
and key type must agree, and what the protocol itself refuses in a header is refused here.
"""

from dataclasses import dataclass
from enum import IntEnum
from struct import Struct
from typing import Final, NamedTuple

from tezos.errors import BadPayload
from tezos.keys import KeyType

__all__ = ["DAL_LIMIT_BYTES", "ConsensusPayload", "Kind", "parse_payload"]

_INT32_MAX: Final = 2**31 - 1

# A protocol constant bounds the bitset; this only has to lie above what any network may choose.
# 256 slots (the most that octez' DAL is made for) at 8 lags take 2376 bits, 340 bytes.
DAL_LIMIT_BYTES: Final = 512


class Kind(IntEnum):
    """What is signed; the value is the first signed byte, the watermark of Tezos."""

    BLOCK = 0x11
    PREATTESTATION = 0x12
    ATTESTATION = 0x13


@dataclass(frozen=True, kw_only=True, slots=True)
class ConsensusPayload:
    """What a payload says about itself.

    Args:
        chain_id: 4 bytes.
        level: 0 to 2**31-1.
        round: 0 to 2**31-1; a block's is that of its fitness, not its payload round.
    """

    kind: Kind
    chain_id: bytes
    level: int
    round: int

    def __post_init__(self) -> None:
        if len(self.chain_id) != 4:
            raise BadPayload(f"chain id: expected 4 bytes, found {len(self.chain_id)}")
        if not 0 <= self.level <= _INT32_MAX:
            raise BadPayload(f"level: expected 0 to 2**31-1, found {self.level}")
        if not 0 <= self.round <= _INT32_MAX:
            raise BadPayload(f"round: expected 0 to 2**31-1, found {self.round}")


# Vote for a tz4 key, 78 bytes:
#   offset 0  size 1   watermark 0x12 or 0x13
#          1       4   chain id
#          5      32   branch (any)
#         37       1   tag 0x28 or 0x29
#         38       4   level, int32
#         42       4   round, int32
#         46      32   block payload hash (any)
_BLS_VOTE: Final = Struct(">B4s32xBii32x")

# Vote for a tz1, tz2 or tz3 key, 80 bytes, with DAL content 81 or more:
#   offset 0  size 1   watermark 0x12 or 0x13
#          1       4   chain id
#          5      32   branch (any)
#         37       1   tag 0x14, 0x15, or 0x17 with DAL content
#         38       2   slot, uint16 (any)
#         40       4   level, int32
#         44       4   round, int32
#         48      32   block payload hash (any)
#         80    1-512  DAL content: a Zarith integer, never negative (tag 0x17 only)
_SLOT_VOTE: Final = Struct(">B4s32xB2xii32x")


class _VoteForm(NamedTuple):
    layout: Struct
    tag: int
    dal_tag: int | None


_BLS_FORMS: Final = {
    Kind.PREATTESTATION: _VoteForm(_BLS_VOTE, 0x28, None),
    Kind.ATTESTATION: _VoteForm(_BLS_VOTE, 0x29, None),
}
_SLOT_FORMS: Final = {
    Kind.PREATTESTATION: _VoteForm(_SLOT_VOTE, 0x14, None),
    Kind.ATTESTATION: _VoteForm(_SLOT_VOTE, 0x15, 0x17),
}
_VOTE_FORMS: Final = {
    KeyType.TZ1: _SLOT_FORMS,
    KeyType.TZ2: _SLOT_FORMS,
    KeyType.TZ3: _SLOT_FORMS,
    KeyType.TZ4: _BLS_FORMS,
}

# Block, the same for every type of key; F is the size of the fitness, 33 or 37:
#   offset 0  size 1   watermark 0x11
#          1       4   chain id
#          5       4   level, int32
#          9       1   protocol (any)
#         10      32   predecessor (any)
#         42       8   timestamp (any)
#         50       1   validation pass, 4
#         51      32   operations hash (any)
#         83       4   F, uint32
#         87       F   fitness, below
#       87+F      32   context hash (any)
#      119+F      32   payload hash (any)
#      151+F       4   payload round, int32, 0 to round
#      155+F       8   proof-of-work nonce (any)
#      163+F       1   seed nonce hash: 0x00 none, 0xff the next 32 bytes
#      164+F       0/32  seed nonce hash (any)
#   then           1   per-block votes (any)
_HEADER: Final = Struct(">B4si41xB32xI")
_CONTENTS: Final = Struct(">64xi8xB")
_VALIDATION_PASS: Final = 4

# Fitness, 33 bytes, or 37 with a locked round:
#   offset 0  size 4+1  length 1, version 2
#          5      4+4  length 4, level, int32, equal to the header's
#         13      4    length 0, or 4+4: length 4, locked round, int32, 0 to round-1
#   then          4+4  length 4, minus predecessor round minus 1, int32, so always negative
#   then          4+4  length 4, round, int32
_FITNESS: Final = Struct(">9si8si4si")
_FITNESS_LOCKED: Final = Struct(">9si4si4si4si")
_FIXED: Final = (b"\0\0\0\1\2\0\0\0\4", b"\0\0\0\0\0\0\0\4", b"\0\0\0\4")
_FIXED_LOCKED: Final = (b"\0\0\0\1\2\0\0\0\4", b"\0\0\0\4", b"\0\0\0\4", b"\0\0\0\4")


class _BlockShape(NamedTuple):
    fitness_size: int
    seed_flag: int


_BLOCK_SHAPES: Final = {
    198: _BlockShape(33, 0x00),
    202: _BlockShape(37, 0x00),
    230: _BlockShape(33, 0xFF),
    234: _BlockShape(37, 0xFF),
}


def parse_payload(payload: bytes, key_type: KeyType) -> ConsensusPayload:
    """Reads what a key of this type is asked to sign.

    Raises:
        BadPayload: it is not exactly one of the forms above for this type of key. Never sign it.
    """
    if type(payload) is not bytes:  # what is checked must be what is signed, so it can't be mutable
        raise TypeError("payload: expected bytes")
    kind = payload[0] if payload else None
    if kind == Kind.BLOCK:
        return _parse_block(payload)
    if kind == Kind.PREATTESTATION:
        return _parse_vote(payload, key_type, Kind.PREATTESTATION)
    if kind == Kind.ATTESTATION:
        return _parse_vote(payload, key_type, Kind.ATTESTATION)
    raise BadPayload("watermark: expected 0x11, 0x12 or 0x13")


def _parse_vote(payload: bytes, key_type: KeyType, kind: Kind) -> ConsensusPayload:
    layout, expected_tag, dal_tag = _VOTE_FORMS[key_type][kind]
    if len(payload) < layout.size:
        raise BadPayload(f"{kind.name}: expected {layout.size} bytes, found {len(payload)}")
    _, chain_id, tag, level, round_ = layout.unpack_from(payload)
    if tag == dal_tag:
        _check_bitset(payload[layout.size :])
    elif tag != expected_tag:
        raise BadPayload(f"{kind.name} for {key_type}: expected tag {expected_tag}, found {tag}")
    elif len(payload) != layout.size:
        raise BadPayload(f"{kind.name}: expected {layout.size} bytes, found {len(payload)}")
    return ConsensusPayload(kind=kind, chain_id=chain_id, level=level, round=round_)


def _check_bitset(data: bytes) -> None:
    """Zarith: groups of bits, lowest first; bit 7: more follow; bit 6 of the first group: sign."""
    if not 1 <= len(data) <= DAL_LIMIT_BYTES:
        raise BadPayload(f"DAL: expected 1 to {DAL_LIMIT_BYTES} bytes, found {len(data)}")
    if data[0] & 0x40:
        raise BadPayload("DAL: a bitset is never negative")
    if data[-1] & 0x80 or not all(group & 0x80 for group in data[:-1]):
        raise BadPayload("DAL: the integer does not end where the payload ends")
    if len(data) > 1 and data[-1] == 0:
        raise BadPayload("DAL: not the shortest form of the integer")


def _parse_block(payload: bytes) -> ConsensusPayload:
    shape = _BLOCK_SHAPES.get(len(payload))
    if shape is None:
        raise BadPayload(f"block: expected 198, 202, 230 or 234 bytes, found {len(payload)}")
    _, chain_id, level, validation_pass, fitness_size = _HEADER.unpack_from(payload)
    if validation_pass != _VALIDATION_PASS:
        raise BadPayload(f"block: expected validation pass 4, found {validation_pass}")
    if fitness_size != shape.fitness_size:
        raise BadPayload(f"block: expected fitness of {shape.fitness_size}, found {fitness_size}")
    round_ = _parse_fitness(payload, fitness_size, level)
    payload_round, seed_flag = _CONTENTS.unpack_from(payload, _HEADER.size + fitness_size)
    if not 0 <= payload_round <= round_:
        raise BadPayload(f"block: expected payload round 0 to {round_}, found {payload_round}")
    if seed_flag != shape.seed_flag:
        raise BadPayload(f"block: expected seed nonce flag {shape.seed_flag}, found {seed_flag}")
    return ConsensusPayload(kind=Kind.BLOCK, chain_id=chain_id, level=level, round=round_)


def _parse_fitness(payload: bytes, size: int, header_level: int) -> int:
    """Returns the round."""
    locked_round: int | None = None
    if size == _FITNESS.size:
        *fields, round_ = _FITNESS.unpack_from(payload, _HEADER.size)
        first, level, second, negated, third = fields
        framed = (first, second, third) == _FIXED
    else:
        *fields, round_ = _FITNESS_LOCKED.unpack_from(payload, _HEADER.size)
        first, level, second, locked_round, third, negated, fourth = fields
        framed = (first, second, third, fourth) == _FIXED_LOCKED
    if not framed:
        raise BadPayload("fitness: expected version 2 and elements of 1, 4, 0 or 4, 4, 4 bytes")
    if level != header_level:
        raise BadPayload(f"fitness: expected level {header_level}, found {level}")
    if negated >= 0:
        raise BadPayload("fitness: negative predecessor round")
    if locked_round is not None and not 0 <= locked_round < round_:
        raise BadPayload(f"fitness: locked round {locked_round}, but round {round_}")
    return int(round_)
