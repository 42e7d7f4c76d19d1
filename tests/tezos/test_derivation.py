"""Rules of `tezos.derivation`. The mapping may never change: the last test pins it."""

import hashlib
from itertools import product

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from tests.tezos.vector_file import Vector, own_vectors, shared_vectors
from tezos.derivation import derive_child, derive_master, derive_secret
from tezos.errors import BadKey
from tezos.keys import KeyType
from tezos.signers import open_signer

_SEED = bytes(range(32))


@pytest.mark.parametrize("vector", own_vectors("eip2333.json"))
def test_published_case_is_derived(vector: Vector) -> None:
    master = derive_master(vector.data("seed_hex"))
    assert master == int(vector.text("master"))
    assert derive_child(master, vector.number("index")) == int(vector.text("child"))


def test_master_is_what_octez_generates_from_the_same_material() -> None:
    vectors = [*shared_vectors("bls", "keys")]
    for name in ("sig_g2_pop", "pop_g2"):
        vectors += shared_vectors("bls", "octez_reference", name)
    for vector in vectors:
        for field in ("keygen_ikm_hex", "ikm_hex"):
            if field in vector:
                expected = int.from_bytes(vector.data("sk_be_hex"), "big")
                assert derive_master(vector.data(field)) == expected


@pytest.mark.parametrize("key_type", [KeyType.TZ1, KeyType.TZ2, KeyType.TZ3])
def test_other_types_are_hkdf_of_the_seed(key_type: KeyType) -> None:
    info = b"tezsign key derivation 1 " + key_type.encode() + bytes.fromhex("0000000700000000")
    expected = HKDF(hashes.SHA256(), 32, salt=None, info=info).derive(_SEED)
    assert derive_secret(_SEED, key_type, 7) == expected


def test_every_type_and_index_gives_another_secret_that_opens() -> None:
    secrets = [derive_secret(_SEED, *case) for case in product(KeyType, (0, 1, 2**32 - 1))]
    assert len({bytes(secret) for secret in secrets}) == len(secrets)
    for (key_type, _), secret in zip(product(KeyType, range(3)), secrets, strict=True):
        assert open_signer(key_type, secret).public_key.type is key_type


def test_secret_out_of_range_is_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    first = derive_secret(_SEED, KeyType.TZ2, 0)
    monkeypatch.setattr("tezos.derivation.is_in_range", lambda _, secret: secret != first)
    second = derive_secret(_SEED, KeyType.TZ2, 0)
    info = b"tezsign key derivation 1 tz2" + bytes.fromhex("0000000000000001")
    assert second == HKDF(hashes.SHA256(), 32, salt=None, info=info).derive(_SEED)


def test_search_for_a_secret_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tezos.derivation.is_in_range", lambda *_: False)
    with pytest.raises(BadKey):
        derive_secret(_SEED, KeyType.TZ1, 0)


@pytest.mark.parametrize("key_type", KeyType)
def test_short_seed_is_refused(key_type: KeyType) -> None:
    with pytest.raises(BadKey):
        derive_secret(_SEED[:31], key_type, 0)


@pytest.mark.parametrize("key_type", KeyType)
@pytest.mark.parametrize("index", [-1, 2**32])
def test_index_out_of_range_is_refused(key_type: KeyType, index: int) -> None:
    with pytest.raises(BadKey):
        derive_secret(_SEED, key_type, index)


@pytest.mark.parametrize("key_type", KeyType)
def test_seed_may_be_wipeable(key_type: KeyType) -> None:
    assert derive_secret(bytearray(_SEED), key_type, 1) == derive_secret(_SEED, key_type, 1)


def test_mapping_never_changes() -> None:
    secrets = b"".join(derive_secret(_SEED, *case) for case in product(KeyType, range(3)))
    assert (
        hashlib.sha256(secrets).hexdigest()
        == "13bd36fc5f7a8d95b08932a2eeb3aa1f0f9a517963a340f7e861108421e9b61f"
    )
