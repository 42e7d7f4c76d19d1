"""Secrets show their length only, compare safely and are wiped."""

import copy
import pickle

import pytest

from gadget.keychain.secret import Secret


def test_repr_and_text_show_the_length_only() -> None:
    secret = Secret(b"hunter2")
    assert repr(secret) == str(secret) == f"{secret}" == "<secret of 7 bytes>"


def test_a_bytearray_is_taken_over_so_that_no_copy_stays() -> None:
    data = bytearray(b"hunter2")
    with Secret(data) as secret:
        assert secret.reveal() is data
    assert data == bytes(7)


def test_bytes_are_copied() -> None:
    data = b"hunter2"
    with Secret(data) as secret:
        pass
    assert data == b"hunter2"
    assert len(secret) == 7


def test_it_is_wiped_when_an_exception_passes() -> None:
    data = bytearray(b"hunter2")
    with pytest.raises(RuntimeError), Secret(data):
        raise RuntimeError
    assert not any(data)


def test_a_wiped_secret_is_not_revealed() -> None:
    secret = Secret(b"hunter2")
    secret.wipe()
    secret.wipe()
    with pytest.raises(ValueError, match="wiped"):
        secret.reveal()


def test_equal_bytes_are_equal() -> None:
    assert Secret(b"a") == Secret(b"a")
    assert Secret(b"a") != Secret(b"b")
    assert Secret(b"a") != Secret(b"ab")
    assert Secret(b"a") != b"a"


def test_it_is_never_hashed_pickled_or_copied() -> None:
    secret = Secret(b"a")
    with pytest.raises(TypeError):
        hash(secret)
    with pytest.raises(TypeError):
        pickle.dumps(secret)
    with pytest.raises(TypeError):
        copy.copy(secret)
