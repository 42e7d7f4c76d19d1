"""Every payload of the vector files: read as its record says, refused for other key types."""

import pytest

from tests import payloads
from tests.tezos.make_vectors import make_payloads
from tests.tezos.test_consensus import refused
from tests.tezos.vector_file import Vector, own_vectors, shared_vectors
from tezos.consensus import parse_payload
from tezos.keys import KeyType

_TYPES_OF_KIND = {
    "any": set(KeyType),
    "bls": {KeyType.TZ4},
    "non_bls": {KeyType.TZ1, KeyType.TZ2, KeyType.TZ3},
}


@pytest.mark.parametrize("vector", own_vectors("payloads.json"), ids=str)
def test_our_payload_is_read_by_its_key_types_only(vector: Vector) -> None:
    key_types = {KeyType(name) for name in vector.text("key_types").split()}
    _check(vector, key_types, vector.text("chain_id"))


def test_our_payload_file_is_what_the_builder_makes() -> None:
    assert [vector.fields for vector in own_vectors("payloads.json")] == make_payloads()


def test_every_shared_payload_is_read_by_its_key_types_only() -> None:
    for vector in shared_vectors("payloads"):
        _check(vector, _TYPES_OF_KIND[vector.text("key_kind")], vector.text("chain_id_hex"))


def test_every_shared_malformed_payload_is_refused() -> None:
    for vector in shared_vectors("malformed"):
        for key_type in _TYPES_OF_KIND[vector.text("key_kind")]:
            assert refused(vector.data("hex"), key_type), vector


def test_test_builder_makes_every_shared_payload() -> None:
    for vector in shared_vectors("payloads"):
        build = _build_block if vector.text("kind") == "block" else _build_vote
        assert build(vector) == vector.data("hex"), vector


def _check(vector: Vector, key_types: set[KeyType], chain_id_hex: str) -> None:
    for key_type in key_types:
        payload = parse_payload(vector.data("hex"), key_type)
        found = (payload.kind.name.lower(), payload.chain_id.hex(), payload.level, payload.round)
        level, round_ = vector.number("level"), vector.number("round")
        assert found == (vector.text("kind"), chain_id_hex, level, round_), vector
    for key_type in set(KeyType) - key_types:
        assert refused(vector.data("hex"), key_type), vector


def _build_vote(vector: Vector) -> bytes:
    data = vector.data("hex")
    fields = 38 if vector.text("key_kind") == "bls" else 40
    return payloads.vote(
        data[0],
        vector.number("tag"),
        vector.number("level"),
        vector.number("round"),
        chain_id=vector.data("chain_id_hex"),
        branch=data[5:37],
        payload_hash=data[fields + 8 : fields + 40],
        slot=vector.number("slot") if "slot" in vector else 0,
        dal=vector.data("dal") if "dal" in vector else b"",
    )


def _build_block(vector: Vector) -> bytes:
    data = vector.data("hex")
    locked_round = vector.number("locked_round") if "locked_round" in vector else None
    context = 87 + (33 if locked_round is None else 37)
    return payloads.block(
        vector.number("level"),
        vector.number("round"),
        chain_id=vector.data("chain_id_hex"),
        payload_hash=data[context + 32 : context + 64],
        payload_round=vector.number("payload_round"),
        locked_round=locked_round,
        predecessor_round=vector.number("predecessor_round"),
        protocol=vector.number("proto"),
        predecessor=data[10:42],
        timestamp=int.from_bytes(data[42:50], "big"),
        operations_hash=data[51:83],
        context=data[context : context + 32],
        nonce=data[context + 68 : context + 76],
        votes=data[-1],
    )
