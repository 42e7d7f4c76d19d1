"""What holds for every payload that `tests.payloads` can build, and for junk. By Hypothesis."""

from hypothesis import given
from hypothesis import strategies as st

from tests import payloads
from tests.tezos.test_consensus import refused
from tezos.consensus import ConsensusPayload, Kind, parse_payload
from tezos.keys import KeyType

_LIMIT = 2**31 - 1

key_types = st.sampled_from(KeyType)
int32 = st.integers(0, _LIMIT)
hashes = st.binary(min_size=32, max_size=32)
chain_ids = st.binary(min_size=4, max_size=4)


@st.composite
def zarith(draw: st.DrawFn) -> bytes:
    """A bitset as octez writes it."""
    value = draw(st.integers(0, 2**64))
    groups = [value & 0x3F]
    value >>= 6
    while value:
        groups[-1] |= 0x80
        groups.append(value & 0x7F)
        value >>= 7
    return bytes(groups)


@st.composite
def votes(draw: st.DrawFn) -> tuple[bytes, KeyType, ConsensusPayload]:
    key_type, level, round_ = draw(key_types), draw(int32), draw(int32)
    chain_id, payload_hash, slot = draw(chain_ids), draw(hashes), draw(st.integers(0, 65535))
    kind = draw(st.sampled_from([Kind.PREATTESTATION, Kind.ATTESTATION]))
    if kind is Kind.PREATTESTATION:
        data = payloads.preattestation(
            key_type, level, round_, chain_id=chain_id, payload_hash=payload_hash, slot=slot
        )
    else:
        dal = draw(st.just(b"") | zarith()) if key_type is not KeyType.TZ4 else b""
        data = payloads.attestation(
            key_type,
            level,
            round_,
            chain_id=chain_id,
            payload_hash=payload_hash,
            slot=slot,
            dal=dal,
        )
    expected = ConsensusPayload(kind=kind, chain_id=chain_id, level=level, round=round_)
    return data, key_type, expected


@st.composite
def blocks(draw: st.DrawFn) -> tuple[bytes, KeyType, ConsensusPayload]:
    level, round_, chain_id = draw(int32), draw(int32), draw(chain_ids)
    data = payloads.block(
        level,
        round_,
        chain_id=chain_id,
        payload_hash=draw(hashes),
        payload_round=draw(st.integers(0, round_)),
        locked_round=draw(st.none() | st.integers(0, round_ - 1)) if round_ else None,
        predecessor_round=draw(int32),
        seed_nonce_hash=draw(st.none() | hashes),
        protocol=draw(st.integers(0, 255)),
        predecessor=draw(hashes),
        timestamp=draw(st.integers(-(2**63), 2**63 - 1)),
        operations_hash=draw(hashes),
        context=draw(hashes),
        nonce=draw(st.binary(min_size=8, max_size=8)),
        votes=draw(st.integers(0, 255)),
    )
    expected = ConsensusPayload(kind=Kind.BLOCK, chain_id=chain_id, level=level, round=round_)
    return data, draw(key_types), expected


@given(blocks() | votes())
def test_what_was_built_is_read_back(built: tuple[bytes, KeyType, ConsensusPayload]) -> None:
    payload, key_type, expected = built
    assert parse_payload(payload, key_type) == expected


@given(blocks() | votes())
def test_every_truncation_is_refused(built: tuple[bytes, KeyType, ConsensusPayload]) -> None:
    payload, key_type, _ = built
    for size in range(len(payload)):
        assert refused(payload[:size], key_type), size


@given(blocks() | votes(), st.binary(min_size=1, max_size=40))
def test_every_extension_is_refused(
    built: tuple[bytes, KeyType, ConsensusPayload], extra: bytes
) -> None:
    payload, key_type, _ = built
    assert refused(payload + extra, key_type)
    assert refused(payload + extra[:1], key_type)


@given(st.binary(max_size=300), key_types)
def test_random_bytes_are_refused_and_raise_nothing_else(junk: bytes, key_type: KeyType) -> None:
    assert refused(junk, key_type)


@given(blocks() | votes(), st.data())
def test_damaged_payload_is_refused_or_read_but_raises_nothing_else(
    built: tuple[bytes, KeyType, ConsensusPayload], data: st.DataObject
) -> None:
    payload, key_type, expected = built
    offset = data.draw(st.integers(0, len(payload) - 1))
    byte = data.draw(st.integers(0, 255))
    damaged = payload[:offset] + bytes((byte,)) + payload[offset + 1 :]
    if not refused(damaged, key_type):
        assert parse_payload(damaged, key_type).kind is expected.kind
