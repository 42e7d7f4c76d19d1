"""Rules of `tezos.signers` for every type of key. More about tz4: test_bls.py."""

import os
from itertools import count
from typing import Literal

import base58 as library
import pytest

from tests import payloads
from tests.tezos.vector_file import Vector, own_vectors, shared_vectors
from tezos.errors import BadKey
from tezos.keys import KeyType, PublicKey
from tezos.scalars import BLS_ORDER, SECP256K1_ORDER
from tezos.signers import create_secret, open_signer
from tezos.verify import decode_signature, encode_signature, verify, verify_possession

_P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
_TYPE_OF_CURVE = {"ed25519": KeyType.TZ1, "secp256k1": KeyType.TZ2, "p256": KeyType.TZ3}
_ORDINARY = (KeyType.TZ1, KeyType.TZ2, KeyType.TZ3)


def any_secret(key_type: KeyType) -> bytes:
    return bytes(create_secret(key_type, lambda size: bytes(range(1, size + 1))))


@pytest.mark.parametrize("vector", own_vectors("signatures.json"), ids=str)
def test_signature_is_that_of_an_independent_implementation(vector: Vector) -> None:
    key_type = KeyType(vector.text("type"))
    signer = open_signer(key_type, vector.data("secret_hex"))
    assert signer.public_key.base58 == vector.text("public_key")
    assert signer.public_key.address == vector.text("address")
    signature = signer.sign(vector.data("payload_hex"))
    assert encode_signature(key_type, signature) == vector.text("signature")
    if key_type is KeyType.TZ4:
        proof = signer.prove_possession(None)
        assert encode_signature(key_type, proof) == vector.text("possession")


def test_every_shared_ordinary_signature_verifies_and_is_made_again() -> None:
    for vector in shared_vectors("signatures_tz123"):
        key_type = _TYPE_OF_CURVE[vector.text("curve")]
        public_key = PublicKey.from_base58(vector.text("pk"))
        assert (public_key.type, public_key.address) == (key_type, vector.text("pkh"))
        signature, message = decode_signature(vector.text("signature")), vector.data("msg_hex")
        assert signature.type is key_type
        assert verify(public_key, signature.data, message)
        if "sk" in vector:
            signer = open_signer(key_type, library.b58decode_check(vector.text("sk"))[4:])
            assert signer.public_key == public_key
            assert signer.sign(message) == signature.data


@pytest.mark.parametrize("key_type", KeyType)
def test_signing_is_deterministic(key_type: KeyType) -> None:
    payload = payloads.attestation(key_type, 5, 0)
    signer = open_signer(key_type, any_secret(key_type))
    again = open_signer(key_type, bytearray(any_secret(key_type)))
    assert signer.sign(payload) == signer.sign(payload) == again.sign(payload)


@pytest.mark.parametrize("key_type", KeyType)
@pytest.mark.parametrize("secret", [b"", bytes(32), b"\1" * 31, b"\1" * 33])
def test_secret_of_a_wrong_size_or_zero_is_refused(key_type: KeyType, secret: bytes) -> None:
    with pytest.raises(BadKey):
        open_signer(key_type, secret)


@pytest.mark.parametrize(
    ("key_type", "order"),
    [
        (KeyType.TZ2, SECP256K1_ORDER),
        (KeyType.TZ3, _P256_ORDER),
        (KeyType.TZ4, BLS_ORDER),
    ],
)
def test_secret_from_the_order_on_is_refused(key_type: KeyType, order: int) -> None:
    byte_order: Literal["little", "big"] = "little" if key_type is KeyType.TZ4 else "big"
    assert open_signer(key_type, (order - 1).to_bytes(32, byte_order))
    for scalar in (order, order + 1, 2**256 - 1):
        with pytest.raises(BadKey) as caught:
            open_signer(key_type, scalar.to_bytes(32, byte_order))
        assert str(scalar) not in str(caught.value)


def test_tz2_signatures_have_the_lower_s() -> None:
    signer = open_signer(KeyType.TZ2, any_secret(KeyType.TZ2))
    for number in range(20):
        signature = signer.sign(bytes((number,)))
        assert int.from_bytes(signature[32:], "big") <= SECP256K1_ORDER // 2


@pytest.mark.parametrize("key_type", _ORDINARY)
def test_only_tz4_proves_possession(key_type: KeyType) -> None:
    signer = open_signer(key_type, any_secret(key_type))
    with pytest.raises(BadKey):
        signer.prove_possession(None)
    tz4 = open_signer(KeyType.TZ4, any_secret(KeyType.TZ4))
    proof = tz4.prove_possession(None)
    key, tz4_key = signer.public_key, tz4.public_key
    for public_key, over in ((key, None), (key, tz4_key), (tz4_key, key)):
        with pytest.raises(BadKey):
            verify_possession(public_key, proof, over)


@pytest.mark.parametrize("key_type", KeyType)
def test_repr_shows_the_address_and_no_secret(key_type: KeyType) -> None:
    signer = open_signer(key_type, any_secret(key_type))
    assert repr(signer) == f"<signer {signer.public_key.address}>"
    assert not hasattr(signer, "__dict__")


@pytest.mark.parametrize("key_type", KeyType)
def test_created_secret_opens(key_type: KeyType) -> None:
    secret = create_secret(key_type, os.urandom)
    assert isinstance(secret, bytearray)
    assert open_signer(key_type, secret).public_key.type is key_type


@pytest.mark.parametrize("key_type", [KeyType.TZ2, KeyType.TZ3, KeyType.TZ4])
def test_secret_out_of_range_is_drawn_again(key_type: KeyType) -> None:
    draws = count()
    secret = create_secret(key_type, lambda size: (b"\xff" if next(draws) < 3 else b"\x11") * size)
    assert secret == b"\x11" * 32
    assert next(draws) == 4


def test_unused_bit_of_a_tz4_secret_is_no_reason_to_draw_again() -> None:
    secret = create_secret(KeyType.TZ4, lambda size: b"\x11" * (size - 1) + b"\x91")
    assert secret == b"\x11" * 32


@pytest.mark.parametrize("key_type", KeyType)
def test_stuck_random_source_ends_in_an_error(key_type: KeyType) -> None:
    with pytest.raises(BadKey):
        create_secret(key_type, bytes)
