"""The bytes of the keystore: nothing but what was written is ever read back."""

from dataclasses import replace

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gadget.keychain import keystore_record
from gadget.keychain.envelope import PRODUCTION_KDF
from gadget.keychain.errors import KeystoreUnusable
from gadget.keychain.keystore_record import (
    KEYS_LIMIT,
    RECORD_LIMIT_BYTES,
    TOMBSTONES_LIMIT,
    KeyEntry,
    KeystoreRecord,
    Tombstone,
    decode_record,
    encode_record,
)
from gadget.keychain.marks import CHAINS_LIMIT, ChainMarks, Mark, Marks
from tezos.errors import BadEncoding
from tezos.keys import MAINNET, KeyType, PublicKey


def _entry(number: int = 0, key_type: KeyType = KeyType.TZ4) -> KeyEntry:
    size = {KeyType.TZ1: 32, KeyType.TZ4: 48}.get(key_type, 33)
    is_bls = key_type is KeyType.TZ4
    return KeyEntry(
        id=f"key-{number}",
        public_key=PublicKey(type=key_type, data=bytes([number]) * size),
        proof=b"p" * 96 if is_bls else None,
        chain_id=MAINNET if is_bls else None,
        wrapped_dek=b"d" * 60,
        sealed_secret=b"s" * 60,
    )


def _tombstone(number: int, marks: Marks | None) -> Tombstone:
    public_key = PublicKey(type=KeyType.TZ1, data=number.to_bytes(32, "big"))
    return Tombstone(address=public_key.address, marks=marks)


def _full_marks() -> Marks:
    mark = Mark(level=2**31 - 1, round=2**31 - 1, payload_hash=b"h" * 32, may_resign=True)
    return Marks(
        chains=tuple(
            ChainMarks(
                chain_id=bytes([n]) * 4,
                signed_level=2**31 - 1,
                block=mark,
                preattestation=mark,
                attestation=mark,
            )
            for n in range(CHAINS_LIMIT)
        ),
        last_level=5,
    )


_RECORD = KeystoreRecord(
    salt=b"s" * 16,
    kdf=PRODUCTION_KDF,
    verifier=b"v" * 28,
    sealed_seed=b"e" * 60,
    next_index=7,
    keys=tuple(_entry(number, key_type) for number, key_type in enumerate(KeyType)),
    tombstones=(_tombstone(1, _full_marks()), _tombstone(2, None)),
)


def test_a_record_comes_back_as_it_was() -> None:
    assert decode_record(encode_record(_RECORD, 5)) == (5, _RECORD)
    empty = replace(_RECORD, keys=(), tombstones=(), sealed_seed=None, next_index=0)
    assert decode_record(encode_record(empty, 2**64 - 1)) == (2**64 - 1, empty)


def test_the_fullest_record_fits() -> None:
    full = replace(
        _RECORD,
        keys=tuple(replace(_entry(number), id=f"{number:064}") for number in range(KEYS_LIMIT)),
        tombstones=tuple(_tombstone(number, _full_marks()) for number in range(TOMBSTONES_LIMIT)),
    )
    data = encode_record(full, 1)
    assert len(data) <= RECORD_LIMIT_BYTES
    assert decode_record(data) == (1, full)


def test_no_part_of_a_record_and_nothing_after_it_is_taken() -> None:
    data = encode_record(replace(_RECORD, tombstones=()), 5)
    for damaged in (*(data[:size] for size in range(len(data))), data + b"\0"):
        with pytest.raises(KeystoreUnusable):
            decode_record(damaged)


@given(st.data())
def test_no_changed_byte_of_a_record_is_taken(data: st.DataObject) -> None:
    record = bytearray(encode_record(_RECORD, 5))
    record[data.draw(st.integers(0, len(record) - 1))] ^= data.draw(st.integers(1, 255))
    with pytest.raises(KeystoreUnusable):
        decode_record(bytes(record))


def _with_body(monkeypatch: pytest.MonkeyPatch, body: object) -> bytes:
    """A record of any body, with a right checksum."""
    with monkeypatch.context() as patch:
        patch.setattr(keystore_record, "_to_map", lambda _record: body)
        return encode_record(_RECORD, 5)


@pytest.mark.parametrize(
    "change",
    [
        {"unknown": 1},
        {"salt": b"short"},
        {"salt": "s" * 16},
        {"kdf": [3, 2**40, 4]},
        {"kdf": [3, 65536]},
        {"kdf": [3, 65536, True]},
        {"seed": b"short"},
        {"next_index": -1},
        {"next_index": 2**32},
        {"keys": None},
        {"keys": [{}]},
        {"keys": [1]},
        {"tombstones": [["tz1", None]]},
        {"tombstones": [["tz1"]]},
        {"tombstones": [[1, None]]},
        {"verifier": msgpack.ExtType(1, b"")},
    ],
    ids=str,
)
def test_wrong_fields_are_refused(
    monkeypatch: pytest.MonkeyPatch, change: dict[str, object]
) -> None:
    body = keystore_record._to_map(_RECORD) | change
    with pytest.raises(KeystoreUnusable):
        decode_record(_with_body(monkeypatch, body))


@pytest.mark.parametrize("field", sorted(keystore_record._to_map(_RECORD)))
def test_missing_fields_are_refused(monkeypatch: pytest.MonkeyPatch, field: str) -> None:
    body = keystore_record._to_map(_RECORD)
    del body[field]
    with pytest.raises(KeystoreUnusable):
        decode_record(_with_body(monkeypatch, body))


@given(st.binary(max_size=200))
def test_a_body_of_junk_is_refused(junk: bytes) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("gadget.keychain.keystore_record.msgpack.packb", lambda _map: junk)
        data = encode_record(_RECORD, 5)
    with pytest.raises(KeystoreUnusable):
        decode_record(data)


def test_a_newer_format_is_named() -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(keystore_record, "_VERSION", 2)
        data = encode_record(_RECORD, 5)
    with pytest.raises(KeystoreUnusable, match="format 2, this version reads 1"):
        decode_record(data)


def test_wrong_values_can_not_exist() -> None:
    entry, stone = _entry(), _tombstone(1, None)
    for make in (
        lambda: replace(entry, id="Upper"),
        lambda: replace(entry, id=""),
        lambda: replace(entry, id="a" * 65),
        lambda: replace(entry, id="new\nline"),
        lambda: replace(entry, proof=None),
        lambda: replace(_entry(0, KeyType.TZ1), proof=b"p" * 96),
        lambda: replace(entry, chain_id=b"abc"),
        lambda: replace(entry, wrapped_dek=b""),
        lambda: replace(entry, sealed_secret=b""),
        lambda: replace(entry, flags=2),
        lambda: replace(_RECORD, keys=(entry, entry)),
        lambda: replace(_RECORD, keys=(entry, replace(entry, id="other"))),
        lambda: replace(_RECORD, tombstones=(stone, stone)),
        lambda: replace(_RECORD, verifier=b""),
        lambda: replace(
            _RECORD, keys=tuple(replace(_entry(n), id=str(n)) for n in range(KEYS_LIMIT + 1))
        ),
    ):
        with pytest.raises(ValueError, match=r"."):
            make()
    with pytest.raises(BadEncoding):
        Tombstone(address="tz1", marks=None)
