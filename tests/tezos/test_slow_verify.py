"""The second opinion accepts what our signers make, and nothing else."""

import os

import pytest

from tests.tezos.slow_verify import decode_base58check, verify_classic
from tezos.keys import KeyType
from tezos.signers import create_secret, open_signer
from tezos.verify import encode_signature


@pytest.mark.parametrize("key_type", [KeyType.TZ1, KeyType.TZ2, KeyType.TZ3])
def test_it_agrees_with_the_signers(key_type: KeyType) -> None:
    signer = open_signer(key_type, create_secret(key_type, os.urandom))
    text = signer.public_key.base58
    public_key = decode_base58check(text)
    signature = decode_base58check(encode_signature(key_type, signer.sign(b"payload")))
    assert verify_classic(text[:4], public_key, b"payload", signature)
    assert not verify_classic(text[:4], public_key, b"other", signature)
