"""Rules of tz4 keys: `tezos.bls` against vectors from other implementations, good and bad."""

import ast
from pathlib import Path

import pytest
from eth_typing import BLSPubkey, BLSSignature
from hypothesis import given, settings
from hypothesis import strategies as st
from py_ecc.bls.ciphersuites import G2ProofOfPossession

import tezos
from tests import payloads
from tests.tezos.vector_file import shared_vectors
from tezos import base58, bls
from tezos.base58 import Prefix
from tezos.errors import BadKey
from tezos.keys import KeyType, PublicKey
from tezos.scalars import BLS_ORDER
from tezos.signers import Signer, open_signer
from tezos.verify import decode_signature, encode_signature, verify, verify_possession

_INFINITY_G1 = b"\xc0" + bytes(47)
_OUTSIDE_G1 = b"\x80" + bytes(46) + b"\x04"  # x = 4: on the curve, not in the subgroup
_INFINITY_G2 = b"\xc0" + bytes(95)


def open_blsk(text: str) -> Signer:
    return open_signer(KeyType.TZ4, base58.decode(Prefix.BLSK, text))


def negatives(word: str, name: str) -> list[str]:
    """The items `name` of those shared negative vectors that speak of `word`."""
    groups = shared_vectors("bls", "negative")
    return [item for group in groups if word in group.text("name") for item in group.texts(name)]


def test_every_shared_key_has_its_address_and_proof() -> None:
    for vector in shared_vectors("bls", "keys"):
        signer = open_blsk(vector.text("BLsk"))
        assert signer.public_key == PublicKey.from_base58(vector.text("BLpk"))
        assert signer.public_key.data == vector.data("pk_hex")
        assert signer.public_key.address == vector.text("tz4")
        if "pop_hex" in vector:
            proof = signer.prove_possession(None)
            assert proof == vector.data("pop_hex")
            assert encode_signature(KeyType.TZ4, proof) == vector.text("pop_BLsig")


def test_every_shared_signature_is_made_again_and_is_not_prepended() -> None:
    for vector in shared_vectors("bls", "signatures"):
        signer, message = open_blsk(vector.text("BLsk")), vector.data("msg_hex")
        signature = signer.sign(message)
        assert signature == vector.data("sig_hex"), vector
        assert encode_signature(KeyType.TZ4, signature) == vector.text("BLsig")
        assert verify(signer.public_key, signature, message)
        prepended = decode_signature(vector.text("aug_sig_BLsig")).data
        assert not verify(signer.public_key, prepended, message)


def test_every_shared_proof_over_another_key_is_made_again() -> None:
    for vector in shared_vectors("bls", "pop_override"):
        signer = open_blsk(vector.text("signer_BLsk"))
        over = PublicKey.from_base58(vector.text("override_BLpk"))
        proof = signer.prove_possession(over.data)
        assert encode_signature(KeyType.TZ4, proof) == vector.text("bls_prove_possession")
        assert verify_possession(signer.public_key, proof, over)
        assert not verify_possession(signer.public_key, proof)


def test_every_octez_reference_signature_and_proof_is_made_again() -> None:
    for vector in shared_vectors("bls", "octez_reference", "sig_g2_pop"):
        scalar = int.from_bytes(vector.data("sk_be_hex"), "big")
        assert bls.sign(scalar, vector.data("msg_hex")) == vector.data("sig_hex"), vector
    for vector in shared_vectors("bls", "octez_reference", "pop_g2"):
        scalar = int.from_bytes(vector.data("sk_be_hex"), "big")
        proof = bls.prove_possession(scalar, bls.derive_public_key(scalar))
        assert proof == vector.data("sig_hex"), vector


def test_signatures_of_another_scheme_do_not_verify() -> None:
    for group in shared_vectors("bls", "negative"):
        for item in group.children("items") if "items" in group else ():
            public_key = PublicKey.from_base58(group.text("BLpk"))
            assert public_key.address == group.text("tz4")
            signature = decode_signature(item.text("BLsig")).data
            assert not verify(public_key, signature, item.data("msg_hex")), item


def test_public_keys_outside_the_subgroup_are_refused() -> None:
    for text in negatives("public keys", "pk_hex"):
        with pytest.raises(BadKey):
            bls.check_public_key(bytes.fromhex(text))


def test_signatures_outside_the_subgroup_do_not_verify() -> None:
    public_key = bls.derive_public_key(5)
    for text in negatives("signatures on curve", "sig_hex"):
        assert not bls.verify(public_key, bytes.fromhex(text), b"m")


def test_shared_secrets_out_of_range_are_refused() -> None:
    for text in negatives("out-of-range", "BLsk"):
        with pytest.raises(BadKey):
            open_blsk(text)


@pytest.mark.parametrize("data", [_INFINITY_G1, _OUTSIDE_G1, b"", bytes(47)])
def test_infinity_and_points_outside_the_subgroup_are_no_keys(data: bytes) -> None:
    with pytest.raises(BadKey):
        bls.check_public_key(data)
    with pytest.raises(BadKey):
        bls.verify(data, _INFINITY_G2, b"m")
    with pytest.raises(BadKey):
        open_signer(KeyType.TZ4, b"\x01" * 32).prove_possession(data)


def test_infinity_is_no_signature() -> None:
    assert not bls.verify(bls.derive_public_key(5), _INFINITY_G2, b"m")


@pytest.mark.parametrize(
    "scalar", [1, 2, 3, 255, 256, 2**64 - 1, 2**128, 2**192 + 1, 2**254, BLS_ORDER - 2]
)
def test_public_key_is_that_of_an_independent_implementation(scalar: int) -> None:
    assert bls.derive_public_key(scalar) == bytes(G2ProofOfPossession.SkToPk(scalar))


def test_independent_implementation_accepts_our_signature_and_proof() -> None:
    signer = open_signer(KeyType.TZ4, b"\x09" * 32)
    payload = payloads.preattestation("tz4", 3, 1)
    public_key = BLSPubkey(signer.public_key.data)
    assert G2ProofOfPossession.Verify(public_key, payload, BLSSignature(signer.sign(payload)))
    proof = BLSSignature(signer.prove_possession(None))
    assert G2ProofOfPossession.PopVerify(public_key, proof)


@settings(max_examples=20)
@given(st.integers(1, BLS_ORDER - 1), st.binary(max_size=300))
def test_every_scalar_and_payload_gives_a_signature_that_verifies(
    scalar: int, payload: bytes
) -> None:
    public_key = bls.derive_public_key(scalar)
    assert bls.verify(public_key, bls.sign(scalar, payload), payload)
    assert bls.verify_possession(public_key, bls.prove_possession(scalar, public_key), public_key)


def test_proof_of_possession_is_no_signature_and_the_reverse() -> None:
    signer = open_signer(KeyType.TZ4, b"\x09" * 32)
    public_key = signer.public_key
    assert not verify(public_key, signer.prove_possession(None), public_key.data)
    assert not verify_possession(public_key, signer.sign(public_key.data))


def test_only_one_file_imports_pyblst() -> None:
    importers = set()
    for path in Path(tezos.__path__[0]).glob("*.py"):
        for node in ast.walk(ast.parse(path.read_bytes())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            importers |= {path.name for name in names if name.split(".")[0] == "pyblst"}
    assert importers == {"bls.py"}
