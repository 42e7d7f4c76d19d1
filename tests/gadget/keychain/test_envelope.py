"""Sealed bytes open with the same key, context and bytes only."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gadget.keychain.envelope import (
    NONCE_BYTES,
    PRODUCTION_KDF,
    SEAL_BYTES,
    KdfParameters,
    bind,
    derive_kek,
    derive_subkey,
    open_sealed,
    seal,
)
from gadget.keychain.errors import NotAuthentic
from gadget.keychain.secret import Secret
from tests.gadget.keychain.board import CHEAP_KDF

_KEY = bytes(range(32))
_NONCE = b"n" * NONCE_BYTES


def _seal(plaintext: bytes = b"secret") -> bytes:
    return seal(Secret(_KEY), plaintext, context=b"here", nonce=_NONCE)


def test_what_is_sealed_opens() -> None:
    opened = open_sealed(Secret(_KEY), _seal(), context=b"here")
    assert opened.reveal() == b"secret"
    assert len(_seal()) == len(b"secret") + SEAL_BYTES


def test_another_key_does_not_open() -> None:
    with pytest.raises(NotAuthentic):
        open_sealed(Secret(bytes(32)), _seal(), context=b"here")


def test_another_context_does_not_open() -> None:
    with pytest.raises(NotAuthentic):
        open_sealed(Secret(_KEY), _seal(), context=b"there")


@given(st.integers(0, len(_seal()) - 1), st.integers(1, 255))
def test_no_changed_byte_opens(at: int, change: int) -> None:
    sealed = bytearray(_seal())
    sealed[at] ^= change
    with pytest.raises(NotAuthentic):
        open_sealed(Secret(_KEY), bytes(sealed), context=b"here")


@pytest.mark.parametrize("size", range(len(_seal())))
def test_no_shortened_bytes_open(size: int) -> None:
    with pytest.raises(NotAuthentic):
        open_sealed(Secret(_KEY), _seal()[:size], context=b"here")


def test_a_failure_tells_nothing_of_key_or_content() -> None:
    with pytest.raises(NotAuthentic) as caught:
        open_sealed(Secret(bytes(32)), _seal(), context=b"here")
    assert str(caught.value) == "sealed bytes do not open"
    assert caught.value.__cause__ is None


@given(st.lists(st.binary(max_size=4), max_size=4), st.lists(st.binary(max_size=4), max_size=4))
def test_fields_of_a_context_can_not_shift(fields: list[bytes], others: list[bytes]) -> None:
    assert (bind(b"p", *fields) == bind(b"p", *others)) == (fields == others)


def test_purposes_give_different_subkeys() -> None:
    key = Secret(_KEY)
    assert derive_subkey(key, b"secret") != derive_subkey(key, b"marks")
    assert derive_subkey(key, b"marks") == derive_subkey(key, b"marks")


def test_known_answer_of_the_subkeys() -> None:
    # HKDF-SHA256 of 00…1f, no salt, info "marks"; computed with hmac of the standard library.
    assert bytes(derive_subkey(Secret(_KEY), b"marks").reveal()) == _hkdf(_KEY, b"marks")


def _hkdf(key: bytes, info: bytes) -> bytes:
    import hmac  # noqa: PLC0415 - the second opinion is this test's alone

    extracted = hmac.digest(bytes(32), key, "sha256")
    return hmac.digest(extracted, info + b"\x01", "sha256")


def test_each_input_of_the_derivation_counts() -> None:
    first = derive_kek(Secret(b"pass"), b"s" * 16, CHEAP_KDF)
    more = KdfParameters(iterations=2, memory_kib=8, lanes=1)
    assert first == derive_kek(Secret(b"pass"), b"s" * 16, CHEAP_KDF)
    assert first != derive_kek(Secret(b"past"), b"s" * 16, CHEAP_KDF)
    assert first != derive_kek(Secret(b"pass"), b"t" * 16, CHEAP_KDF)
    assert first != derive_kek(Secret(b"pass"), b"s" * 16, more)


def test_production_parameters_are_those_of_the_design() -> None:
    assert KdfParameters(iterations=3, memory_kib=65_536, lanes=4) == PRODUCTION_KDF


@pytest.mark.parametrize(
    ("iterations", "memory_kib", "lanes"),
    [(0, 64, 1), (17, 64, 1), (1, 7, 1), (1, 2**18 + 1, 1), (1, 64, 0), (1, 128, 9), (1, 8, 2)],
)
def test_costs_out_of_bounds_are_refused(iterations: int, memory_kib: int, lanes: int) -> None:
    with pytest.raises(ValueError, match="expected"):
        KdfParameters(iterations=iterations, memory_kib=memory_kib, lanes=lanes)
