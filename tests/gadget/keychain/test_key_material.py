"""One key's envelope: every piece belongs to one key, one id and one public key."""

import os
from dataclasses import replace

import pytest

from gadget.keychain.errors import KeystoreUnusable
from gadget.keychain.key_material import (
    MadeKey,
    make_key,
    open_dek,
    open_key_signer,
    open_mark_sealer,
    open_seed,
    seal_seed,
)
from gadget.keychain.keystore_record import EXPORTABLE, KeyEntry
from gadget.keychain.mark_record import BadMarks, encode_marks
from gadget.keychain.marks import Marks
from gadget.keychain.secret import Secret
from tezos.keys import KeyType
from tezos.signers import create_secret, open_signer

_KEK = b"k" * 32


def _make(key_id: str = "baker", key_type: KeyType = KeyType.TZ1) -> MadeKey:
    with Secret(create_secret(key_type, os.urandom)) as secret:
        signer = open_signer(key_type, secret.reveal())
        return make_key(
            key_id=key_id,
            signer=signer,
            secret=secret,
            chain_id=None,
            flags=0,
            kek=Secret(_KEK),
            random_bytes=os.urandom,
        )


def _open(entry: KeyEntry) -> None:
    with open_dek(Secret(_KEK), entry) as dek:
        open_key_signer(dek, entry)


@pytest.mark.parametrize("key_type", list(KeyType))
def test_what_was_made_opens(key_type: KeyType) -> None:
    made = _make(key_type=key_type)
    with open_dek(Secret(_KEK), made.entry) as dek:
        assert open_key_signer(dek, made.entry).public_key == made.entry.public_key
        sealer = open_mark_sealer(dek, made.entry)
    block = made.sealer.encode_block(0, 1, encode_marks(Marks()), os.urandom(12))
    assert sealer.decode_block(0, block).marks == Marks()


def test_a_piece_of_another_key_does_not_open() -> None:
    entry, other = _make().entry, _make().entry
    for changed in (
        replace(entry, id="other"),
        replace(entry, public_key=other.public_key),
        replace(entry, wrapped_dek=other.wrapped_dek),
        replace(entry, sealed_secret=other.sealed_secret),
        replace(entry, flags=EXPORTABLE),
    ):
        with pytest.raises(KeystoreUnusable, match="damaged"):
            _open(changed)


def test_a_secret_that_belongs_to_another_public_key_is_refused() -> None:
    with Secret(b"s" * 32) as secret:
        made = make_key(
            key_id="baker",
            signer=open_signer(KeyType.TZ1, b"t" * 32),
            secret=secret,
            chain_id=None,
            flags=0,
            kek=Secret(_KEK),
            random_bytes=os.urandom,
        )
    with pytest.raises(KeystoreUnusable, match="another public key"):
        _open(made.entry)


def test_marks_of_another_key_do_not_open() -> None:
    block = _make().sealer.encode_block(0, 1, encode_marks(Marks()), os.urandom(12))
    with pytest.raises(BadMarks):
        _make().sealer.decode_block(0, block)


def test_a_seed_opens_with_its_key_only() -> None:
    sealed = seal_seed(Secret(_KEK), Secret(b"e" * 32), os.urandom(12))
    assert open_seed(Secret(_KEK), sealed).reveal() == b"e" * 32
    with pytest.raises(KeystoreUnusable, match="seed"):
        open_seed(Secret(b"l" * 32), sealed)


def test_opening_wipes_what_it_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[bytearray] = []

    def watch(key_type: KeyType, secret: bytearray) -> object:
        seen.append(secret)
        return open_signer(key_type, secret)

    monkeypatch.setattr("gadget.keychain.key_material.open_signer", watch)
    _open(_make().entry)
    assert [bytes(secret) for secret in seen] == [bytes(32)]
