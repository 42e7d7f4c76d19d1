"""What a baker asks to have signed: BadPayload, or values that stand in the bytes where they must.

The offsets are read from docs/tezos.md, not taken from `tezos.consensus`.
"""

from collections.abc import Iterator

from tests.payloads import attestation, block, preattestation
from tezos.consensus import ConsensusPayload, Kind, parse_payload
from tezos.errors import BadPayload
from tezos.keys import KeyType

__all__ = ["one_input", "seeds"]

_BLS = {KeyType.TZ4}
_OTHERS = {KeyType.TZ1, KeyType.TZ2, KeyType.TZ3}


def one_input(data: bytes) -> None:
    found = {key_type: parsed for key_type in KeyType if (parsed := _parse(data, key_type))}
    if not found:
        return
    parsed, *more = found.values()
    assert all(other == parsed for other in more), "one payload, one meaning"
    if parsed.kind is Kind.BLOCK:
        assert set(found) == _BLS | _OTHERS
        assert len(data) in (198, 202, 230, 234)
        level_at, round_at = 5, 87 + data[86] - 4
    else:
        assert set(found) in (_BLS, _OTHERS), "a vote is of one kind of key only"
        level_at = 38 if set(found) == _BLS else 40
        round_at = level_at + 4
    assert (parsed.kind, parsed.chain_id) == (data[0], data[1:5])
    assert data[level_at : level_at + 4] == parsed.level.to_bytes(4, "big", signed=True)
    assert data[round_at : round_at + 4] == parsed.round.to_bytes(4, "big", signed=True)


def _parse(data: bytes, key_type: KeyType) -> ConsensusPayload | None:
    try:
        return parse_payload(data, key_type)
    except BadPayload:
        return None


def seeds() -> Iterator[bytes]:
    for key_type in ("tz1", "tz4"):
        yield preattestation(key_type, 7, 1)
        yield attestation(key_type, 2**31 - 1, 0)
    yield attestation("tz1", 7, 1, dal=b"\x85\x80\x01")
    yield attestation("tz1", 7, 1, dal=b"\x80" * 511 + b"\x01")
    for seed_nonce_hash in (None, b"\x5e" * 32):
        yield block(7, 1, seed_nonce_hash=seed_nonce_hash)
        yield block(7, 3, locked_round=1, seed_nonce_hash=seed_nonce_hash)
