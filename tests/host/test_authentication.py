"""Which signatures count as an authorized client's."""

import pytest

from host.authentication import Authenticator, RequestTag, encode_signed_bytes
from tests.host.fake_board import make_signer
from tezos.errors import BadEncoding
from tezos.keys import KeyType
from tezos.verify import encode_signature

ASKED = make_signer(KeyType.TZ4).public_key
TYPES = list(KeyType)


@pytest.mark.parametrize(
    ("key_type", "tag"),
    [(KeyType.TZ1, 0), (KeyType.TZ2, 1), (KeyType.TZ3, 2), (KeyType.TZ4, 3)],
)
def test_signed_bytes_are_laid_out_as_octez_has_them(key_type: KeyType, tag: int) -> None:
    key = make_signer(key_type).public_key
    signed = encode_signed_bytes(RequestTag.SIGN, key.address, b"data")
    assert signed == bytes((4, 1, tag)) + key.hash + b"data"
    proof = encode_signed_bytes(RequestTag.PROVE_POSSESSION, key.address, b"")
    assert proof == bytes((4, 4, tag)) + key.hash


@pytest.mark.parametrize("key_type", TYPES)
def test_a_named_key_of_each_type_is_believed(key_type: KeyType) -> None:
    client = make_signer(key_type, 1)
    signed = encode_signed_bytes(RequestTag.SIGN, ASKED.address, b"data")
    authenticator = Authenticator([make_signer(t, 1).public_key.base58 for t in TYPES])
    text = encode_signature(key_type, client.sign(signed))
    assert authenticator.is_genuine(text, signed)
    assert not authenticator.is_genuine(text, signed + b"x")
    assert client.public_key.address in authenticator.addresses


@pytest.mark.parametrize("key_type", TYPES)
def test_another_key_of_the_same_type_is_not_believed(key_type: KeyType) -> None:
    signed = encode_signed_bytes(RequestTag.SIGN, ASKED.address, b"data")
    authenticator = Authenticator([make_signer(key_type, 1).public_key.base58])
    text = encode_signature(key_type, make_signer(key_type, 2).sign(signed))
    assert not authenticator.is_genuine(text, signed)


def test_a_signature_of_one_request_is_none_of_another() -> None:
    client = make_signer(KeyType.TZ1, 1)
    authenticator = Authenticator([client.public_key.base58])
    proof = encode_signed_bytes(RequestTag.PROVE_POSSESSION, ASKED.address, b"data")
    text = encode_signature(KeyType.TZ1, client.sign(proof))
    signed = encode_signed_bytes(RequestTag.SIGN, ASKED.address, b"data")
    assert not authenticator.is_genuine(text, signed)


@pytest.mark.parametrize("text", ["", "edsig", "x" * 99, "BLsig" + "1" * 137])
def test_what_is_no_signature_is_said_to_be_none(text: str) -> None:
    authenticator = Authenticator([make_signer(KeyType.TZ1).public_key.base58])
    with pytest.raises(BadEncoding):
        authenticator.is_genuine(text, b"data")


def test_an_address_in_place_of_a_public_key_is_refused() -> None:
    with pytest.raises(BadEncoding):
        Authenticator([ASKED.address])
