"""The bytes of an exported key: whole and opened with the right passphrase, or refused."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gadget.keychain.envelope import PRODUCTION_KDF, bind, seal
from gadget.keychain.errors import KeyFileRefused
from gadget.keychain.key_file import (
    MovedKey,
    decode_header,
    decode_key,
    encode_header,
    encode_key,
)
from gadget.keychain.keystore_record import EXPORTABLE
from gadget.keychain.mark_changes import set_level
from gadget.keychain.marks import CHAINS_LIMIT, Marks
from gadget.keychain.secret import Secret
from tezos.keys import MAINNET, KeyType

_KEK = Secret(b"k" * 32)
_SECRET = bytes(range(32))
_HEADER = encode_header(PRODUCTION_KDF, b"s" * 16)


def _moved(key_id: str = "baker", marks: Marks | None = None) -> MovedKey:
    return MovedKey(
        id=key_id,
        key_type=KeyType.TZ4,
        flags=EXPORTABLE,
        chain_id=MAINNET,
        secret=Secret(_SECRET),
        marks=set_level(Marks(), MAINNET, 7) if marks is None else marks,
    )


def _encode(moved: MovedKey) -> bytes:
    return encode_key(moved, _HEADER, _KEK, b"n" * 12)


def _decode(data: bytes) -> MovedKey:
    decode_header(data)
    return decode_key(data, _KEK)


@pytest.mark.parametrize("key_id", ["a", "x" * 64])
def test_a_key_comes_back_as_it_was(key_id: str) -> None:
    data = _encode(_moved(key_id))
    assert decode_header(data) == (PRODUCTION_KDF, b"s" * 16)
    found = decode_key(data, _KEK)
    assert found.secret == Secret(_SECRET)
    assert replace(found, secret=_moved().secret).marks == _moved().marks
    assert (found.id, found.key_type, found.flags) == (key_id, KeyType.TZ4, EXPORTABLE)
    assert found.chain_id == MAINNET


def test_the_largest_fits_into_its_message() -> None:
    marks = Marks()
    for number in range(CHAINS_LIMIT):
        marks = set_level(marks, bytes([number]) * 4, 1)
    assert len(_encode(_moved("x" * 64, marks))) <= 4096


@given(st.data())
def test_a_changed_byte_is_noticed(data: st.DataObject) -> None:
    good = _encode(_moved())
    at = data.draw(st.integers(0, len(good) - 1))
    changed = bytearray(good)
    changed[at] ^= data.draw(st.integers(1, 255))
    with pytest.raises(KeyFileRefused):
        _decode(bytes(changed))


@given(st.binary(max_size=300) | st.binary(max_size=200).map(lambda junk: _HEADER + junk))
def test_junk_is_refused(junk: bytes) -> None:
    with pytest.raises(KeyFileRefused):
        _decode(junk)


@given(st.binary(max_size=120))
def test_sealed_junk_is_refused(body: bytes) -> None:
    data = _HEADER + seal(_KEK, body, context=bind(b"export", _HEADER), nonce=b"n" * 12)
    with pytest.raises(KeyFileRefused):
        decode_key(data, _KEK)


def test_another_version_is_named() -> None:
    data = bytearray(_encode(_moved()))
    data[8] = 2
    with pytest.raises(KeyFileRefused, match="format 2"):
        decode_header(bytes(data))


def test_another_key_does_not_open_it() -> None:
    with pytest.raises(KeyFileRefused, match="passphrase"):
        decode_key(_encode(_moved()), Secret(b"x" * 32))


def test_a_key_that_no_board_can_have_is_none() -> None:
    for change in ({"id": "Not An Id"}, {"flags": 2}, {"chain_id": b""}):
        with pytest.raises(ValueError, match=r"."):
            replace(_moved(), **change)
