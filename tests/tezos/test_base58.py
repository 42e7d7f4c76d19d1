"""Rules of `tezos.base58`."""

import string

import base58 as library
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.tezos.vector_file import shared_group
from tezos import base58
from tezos.base58 import Prefix
from tezos.errors import BadEncoding

_SHARED_NAMES = {
    Prefix.EDPK: "edpk",
    Prefix.SPPK: "sppk",
    Prefix.P2PK: "p2pk",
    Prefix.BLPK: "BLpk",
    Prefix.SPSIG: "spsig1",
    Prefix.BLSIG: "BLsig",
    Prefix.BLSK: "BLsk",
    Prefix.NET: "Net",
}

_CHARACTERS = st.sampled_from(string.printable + "éⅠ１\0")  # digits that are not ASCII too


@st.composite
def encoded(draw: st.DrawFn) -> tuple[Prefix, bytes, str]:
    prefix = draw(st.sampled_from(Prefix))
    payload = draw(st.binary(min_size=prefix.payload_size, max_size=prefix.payload_size))
    return prefix, payload, base58.encode(prefix, payload)


@given(encoded())
def test_what_was_encoded_is_decoded(case: tuple[Prefix, bytes, str]) -> None:
    prefix, payload, text = case
    assert len(text) == prefix.text_size
    assert base58.decode(prefix, text) == payload


@given(encoded(), st.data())
def test_one_wrong_character_is_refused(
    case: tuple[Prefix, bytes, str], data: st.DataObject
) -> None:
    prefix, _, text = case
    at = data.draw(st.integers(0, len(text) - 1))
    wrong = data.draw(_CHARACTERS.filter(lambda character: character != text[at]))
    with pytest.raises(BadEncoding):
        base58.decode(prefix, text[:at] + wrong + text[at + 1 :])


@given(encoded())
def test_text_of_another_prefix_is_refused(case: tuple[Prefix, bytes, str]) -> None:
    prefix, _, text = case
    for other in set(Prefix) - {prefix}:
        with pytest.raises(BadEncoding):
            base58.decode(other, text)


@given(st.sampled_from(Prefix), st.text(_CHARACTERS, max_size=150))
def test_junk_raises_nothing_else(prefix: Prefix, text: str) -> None:
    with pytest.raises(BadEncoding):
        base58.decode(prefix, text)


def test_white_space_is_refused() -> None:
    text = base58.encode(Prefix.NET, b"abcd")
    for wrong in (text + "\n", " " + text, text[:-1] + " ", " " + text[:-1], "1" + text):
        with pytest.raises(BadEncoding):
            base58.decode(Prefix.NET, wrong)


@pytest.mark.parametrize("prefix", Prefix)
def test_payload_of_another_length_is_refused(prefix: Prefix) -> None:
    for size in (0, prefix.payload_size - 1, prefix.payload_size + 1):
        with pytest.raises(BadEncoding):
            base58.encode(prefix, bytes(size))
        text = library.b58encode_check(prefix.prefix_bytes + bytes(size)).decode()
        with pytest.raises(BadEncoding):
            base58.decode(prefix, text)


def test_text_of_a_wrong_size_is_refused_before_it_is_decoded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delattr("base58.b58decode_check")
    with pytest.raises(BadEncoding):
        base58.decode(Prefix.NET, "1" * 10_000_000)


def test_error_never_quotes_a_secret() -> None:
    text = base58.encode(Prefix.BLSK, b"\x07" * 32)
    wrong = text[:-1] + ("2" if text[-1] == "1" else "1")
    with pytest.raises(BadEncoding) as caught:
        base58.decode(Prefix.BLSK, wrong)
    assert wrong[4:10] not in str(caught.value)
    assert caught.value.__cause__ is None


def test_prefix_table_agrees_with_the_shared_one() -> None:
    table = shared_group("base58_prefixes").fields
    for prefix in Prefix if table else ():
        name = _SHARED_NAMES.get(prefix, prefix.name.lower())
        assert table[name] == {
            "prefix_hex": prefix.prefix_bytes.hex(),
            "payload_len": prefix.payload_size,
            "total_chars": prefix.text_size,
        }
