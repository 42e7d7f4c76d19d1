"""Builds consensus payloads for tests, byte by byte from docs/tezos.md section 1. Never imports
`tezos`.

It is the second opinion on `tezos.consensus`: every field is a parameter, so that a test can also
build what must be refused. Source: docs/tezos.md; checked against recorded
payloads in tests/tezos.
"""

from typing import Final

__all__ = ["MAINNET", "PAYLOAD_HASH", "attestation", "block", "fitness", "preattestation", "vote"]

MAINNET: Final = bytes.fromhex("7a06a770")
PAYLOAD_HASH: Final = bytes(range(32))
_BRANCH: Final = b"\xb7" * 32


def preattestation(
    key_type: str,
    level: int,
    round: int,  # noqa: A002 - the field's name in Tezos
    *,
    chain_id: bytes = MAINNET,
    payload_hash: bytes = PAYLOAD_HASH,
    slot: int = 0,
) -> bytes:
    """What a baker asks a key of this type ("tz1" … "tz4") to sign. `slot` is ignored for tz4."""
    tag = 0x28 if key_type == "tz4" else 0x14
    return vote(0x12, tag, level, round, chain_id=chain_id, payload_hash=payload_hash, slot=slot)


def attestation(
    key_type: str,
    level: int,
    round: int,  # noqa: A002 - the field's name in Tezos
    *,
    chain_id: bytes = MAINNET,
    payload_hash: bytes = PAYLOAD_HASH,
    slot: int = 0,
    dal: bytes = b"",
) -> bytes:
    """`dal` is the bitset as it stands in the bytes; a tz4 vote has neither it nor a slot."""
    tag = 0x29 if key_type == "tz4" else 0x17 if dal else 0x15
    return vote(
        0x13, tag, level, round, chain_id=chain_id, payload_hash=payload_hash, slot=slot, dal=dal
    )


def vote(
    watermark: int,
    tag: int,
    level: int,
    round: int,  # noqa: A002 - the field's name in Tezos
    *,
    chain_id: bytes = MAINNET,
    branch: bytes = _BRANCH,
    payload_hash: bytes = PAYLOAD_HASH,
    slot: int = 0,
    dal: bytes = b"",
) -> bytes:
    """Any watermark with any tag, right or wrong; tags 0x28 and 0x29 leave the slot out."""
    return b"".join(
        (
            bytes((watermark,)),
            chain_id,
            branch,
            bytes((tag,)),
            b"" if tag in (0x28, 0x29) else slot.to_bytes(2, "big"),
            _int32(level),
            _int32(round),
            payload_hash,
            dal,
        )
    )


def block(
    level: int,
    round: int,  # noqa: A002 - the field's name in Tezos
    *,
    chain_id: bytes = MAINNET,
    payload_hash: bytes = PAYLOAD_HASH,
    payload_round: int | None = None,
    locked_round: int | None = None,
    predecessor_round: int = 0,
    seed_nonce_hash: bytes | None = None,
    protocol: int = 24,
    predecessor: bytes = b"\xb1" * 32,
    timestamp: int = 1_777_000_000,
    validation_pass: int = 4,
    operations_hash: bytes = b"\x0b" * 32,
    context: bytes = b"\xc0" * 32,
    nonce: bytes = b"\x01\x02\x03\x04\x05\x06\x07\x08",
    votes: int = 0x0A,
    fitness_bytes: bytes | None = None,
) -> bytes:
    """198 bytes, 202 with `locked_round`, 32 more with `seed_nonce_hash`.

    Args:
        payload_round: `round` unless given; lower on a re-proposal.
        fitness_bytes: in place of the five elements, without their total length.
    """
    raw_fitness = fitness_bytes
    if raw_fitness is None:
        raw_fitness = fitness(
            level, round, locked_round=locked_round, predecessor_round=predecessor_round
        )
    return b"".join(
        (
            b"\x11",
            chain_id,
            _int32(level),
            bytes((protocol,)),
            predecessor,
            timestamp.to_bytes(8, "big", signed=True),
            bytes((validation_pass,)),
            operations_hash,
            _prefixed(raw_fitness),
            context,
            payload_hash,
            _int32(round if payload_round is None else payload_round),
            nonce,
            b"\x00" if seed_nonce_hash is None else b"\xff" + seed_nonce_hash,
            bytes((votes,)),
        )
    )


def fitness(
    level: int,
    round: int,  # noqa: A002 - the field's name in Tezos
    *,
    locked_round: int | None = None,
    predecessor_round: int = 0,
    version: int = 2,
) -> bytes:
    """The five elements of a block's fitness, each with its length before it."""
    locked = b"" if locked_round is None else _int32(locked_round)
    elements = (
        bytes((version,)),
        _int32(level),
        locked,
        _int32(-predecessor_round - 1),
        _int32(round),
    )
    return b"".join(_prefixed(element) for element in elements)


def _prefixed(data: bytes) -> bytes:
    return len(data).to_bytes(4, "big") + data


def _int32(value: int) -> bytes:
    return value.to_bytes(4, "big", signed=True)
