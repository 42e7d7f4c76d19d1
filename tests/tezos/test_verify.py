"""Rules of `tezos.verify` for every type of key."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.tezos.test_signers import any_secret
from tezos.errors import BadEncoding, BadKey
from tezos.keys import KeyType, PublicKey
from tezos.scalars import SECP256K1_ORDER
from tezos.signers import open_signer
from tezos.verify import (
    Signature,
    check_public_key,
    decode_signature,
    encode_signature,
    verify,
)

_SIGNERS = {key_type: open_signer(key_type, any_secret(key_type)) for key_type in KeyType}
_SIGNATURES = {key_type: signer.sign(b"payload") for key_type, signer in _SIGNERS.items()}


@pytest.mark.parametrize("key_type", KeyType)
def test_signature_verifies_over_its_payload_and_key_only(key_type: KeyType) -> None:
    public_key, signature = _SIGNERS[key_type].public_key, _SIGNATURES[key_type]
    other = open_signer(key_type, b"\x05" * 32).public_key
    check_public_key(public_key)
    assert verify(public_key, signature, b"payload")
    assert not verify(public_key, signature, b"payloae")
    assert not verify(other, signature, b"payload")


@pytest.mark.parametrize("key_type", KeyType)
def test_every_damaged_byte_of_a_signature_is_noticed(key_type: KeyType) -> None:
    signature = _SIGNATURES[key_type]
    for at in range(len(signature)):
        damaged = signature[:at] + bytes((signature[at] ^ 1,)) + signature[at + 1 :]
        assert not verify(_SIGNERS[key_type].public_key, damaged, b"payload"), at


@given(st.sampled_from(KeyType), st.binary(max_size=100))
def test_junk_is_no_signature_and_raises_nothing(key_type: KeyType, junk: bytes) -> None:
    assert not verify(_SIGNERS[key_type].public_key, junk, b"payload")


@pytest.mark.parametrize("key_type", KeyType)
@pytest.mark.parametrize("filler", [b"\0", b"\xff"])
def test_extreme_numbers_are_no_signature(key_type: KeyType, filler: bytes) -> None:
    size = len(_SIGNATURES[key_type])
    assert not verify(_SIGNERS[key_type].public_key, filler * size, b"payload")


@pytest.mark.parametrize("key_type", [KeyType.TZ2, KeyType.TZ3])
def test_zero_byte_of_a_signature_may_not_be_left_out(key_type: KeyType) -> None:
    signer = _SIGNERS[key_type]
    payloads = (number.to_bytes(4, "big") for number in range(10_000))
    payload, signature = next(
        (payload, signature)
        for payload, signature in ((payload, signer.sign(payload)) for payload in payloads)
        if signature[32] == 0
    )
    assert verify(signer.public_key, signature, payload)
    assert not verify(signer.public_key, signature[:32] + signature[33:], payload)


def test_tz2_signature_with_the_higher_s_is_refused() -> None:
    signature = _SIGNATURES[KeyType.TZ2]
    higher = SECP256K1_ORDER - int.from_bytes(signature[32:], "big")
    malleated = signature[:32] + higher.to_bytes(32, "big")
    assert not verify(_SIGNERS[KeyType.TZ2].public_key, malleated, b"payload")


@pytest.mark.parametrize("key_type", [KeyType.TZ2, KeyType.TZ3, KeyType.TZ4])
def test_key_that_is_no_point_is_refused(key_type: KeyType) -> None:
    size = len(_SIGNERS[key_type].public_key.data)
    public_key = PublicKey(type=key_type, data=b"\x02" + b"\xff" * (size - 1))
    with pytest.raises(BadKey):
        check_public_key(public_key)
    with pytest.raises(BadKey):
        verify(public_key, _SIGNATURES[key_type], b"payload")


@pytest.mark.parametrize("key_type", KeyType)
def test_signature_text_is_read_back(key_type: KeyType) -> None:
    text = encode_signature(key_type, _SIGNATURES[key_type])
    assert decode_signature(text) == Signature(type=key_type, data=_SIGNATURES[key_type])


@pytest.mark.parametrize("text", ["", "edsig", "sigNature", "BLsig" + "1" * 137, "tz1"])
def test_text_that_is_no_signature_is_refused(text: str) -> None:
    with pytest.raises(BadEncoding):
        decode_signature(text)


@pytest.mark.parametrize("key_type", KeyType)
def test_signature_of_a_wrong_size_cannot_be_made(key_type: KeyType) -> None:
    with pytest.raises(BadEncoding):
        Signature(type=key_type, data=bytes(65))
    with pytest.raises(BadEncoding):
        encode_signature(key_type, bytes(65))
