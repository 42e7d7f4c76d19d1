"""The keystore's record: KeystoreUnusable, or exactly the bytes that are written.

A checksum keeps chance out, so what does not begin like a record is tried as the body of one.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import replace
from struct import Struct
from typing import Final

from gadget.keychain.envelope import PRODUCTION_KDF
from gadget.keychain.errors import KeystoreUnusable
from gadget.keychain.keystore_record import (
    EXPORTABLE,
    KeyEntry,
    KeystoreRecord,
    Tombstone,
    decode_record,
    encode_record,
)
from gadget.keychain.mark_changes import set_level
from gadget.keychain.marks import Marks
from tezos.keys import MAINNET, KeyType, PublicKey

__all__ = ["one_input", "seeds"]

_MAGIC: Final = b"TZSKEYS1"
_HEADER: Final = Struct("<8sH2xIQ")
_BODY_AT: Final = 56


def one_input(data: bytes) -> None:
    whole = data if data.startswith(_MAGIC) else _around(data)
    try:
        sequence, record = decode_record(whole)
    except KeystoreUnusable:
        return
    assert encode_record(record, sequence) == whole


def _around(body: bytes) -> bytes:
    header = _HEADER.pack(_MAGIC, 1, len(body), 7)
    return header + hashlib.sha256(header + body).digest() + body


def _entry(key_type: KeyType, size: int) -> KeyEntry:
    is_bls = key_type is KeyType.TZ4
    return KeyEntry(
        id=f"key-{key_type}",
        public_key=PublicKey(type=key_type, data=b"\x02" * size),
        proof=b"p" * 96 if is_bls else None,
        chain_id=MAINNET if is_bls else None,
        wrapped_dek=b"d" * 60,
        sealed_secret=b"s" * 60,
        flags=EXPORTABLE if is_bls else 0,
        last_level=9 if is_bls else None,
    )


def seeds() -> Iterator[bytes]:
    stone, other = _entry(KeyType.TZ1, 32).public_key, _entry(KeyType.TZ3, 33).public_key
    record = KeystoreRecord(
        salt=b"s" * 16,
        kdf=PRODUCTION_KDF,
        verifier=b"v" * 28,
        sealed_seed=b"e" * 60,
        next_index=3,
        keys=(_entry(KeyType.TZ1, 32), _entry(KeyType.TZ2, 33), _entry(KeyType.TZ4, 48)),
        tombstones=(
            Tombstone(address=stone.address, marks=set_level(Marks(), MAINNET, 7)),
            Tombstone(address=other.address, marks=None),
        ),
    )
    for each in (record, replace(record, keys=(), tombstones=(), sealed_seed=None)):
        written = encode_record(each, 7)
        yield written
        yield written[_BODY_AT:]
    yield b"\x91" * 2000
    yield b"\xdd\xff\xff\xff\xff"
