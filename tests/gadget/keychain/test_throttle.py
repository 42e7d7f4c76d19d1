"""Five tries in 30 s, over restarts and reboots."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gadget.keychain.throttle import (
    THROTTLE_BYTES,
    TRIES_LIMIT,
    WINDOW_MS,
    Tries,
    decode_tries,
    encode_tries,
)

_BOOT = b"b" * 16
_NEXT_BOOT = b"c" * 16


def _tries(*times_ms: int) -> Tries:
    return Tries(boot_id=_BOOT, times_ms=times_ms)


def test_five_tries_are_free_and_the_sixth_waits() -> None:
    tries = _tries()
    for number in range(TRIES_LIMIT):
        assert tries.wait_ms(number) == 0
        tries = tries.with_try(number)
    assert tries.wait_ms(1_000) == WINDOW_MS - 1_000


def test_after_the_wait_there_is_one_try() -> None:
    tries = _tries(0, 1, 2, 3, 4)
    assert tries.wait_ms(WINDOW_MS) == 0
    assert tries.with_try(WINDOW_MS) == _tries(1, 2, 3, 4, WINDOW_MS)
    assert tries.with_try(WINDOW_MS).wait_ms(WINDOW_MS) == 1


def test_a_restarted_process_goes_on_counting() -> None:
    tries = _tries(10, 20)
    assert tries.seen_at(_BOOT, 30) is tries


def test_after_a_reboot_a_full_count_waits_from_the_start() -> None:
    tries = _tries(*range(5)).seen_at(_NEXT_BOOT, 7_000)
    assert tries.wait_ms(7_000) == WINDOW_MS


def test_a_reboot_gives_no_tries_back() -> None:
    tries = _tries(1, 2, 3, 4).seen_at(_NEXT_BOOT, 7_000)
    assert tries.wait_ms(7_000) == 0
    assert tries.with_try(7_000).wait_ms(7_000) == WINDOW_MS


def test_times_from_the_future_count_as_now() -> None:
    assert _tries(1, 2**64 - 1).seen_at(_BOOT, 5).times_ms == (5, 5)


def test_an_unknown_count_is_full() -> None:
    assert Tries.full(_BOOT, 5).wait_ms(5) == WINDOW_MS


@given(st.lists(st.integers(0, 2**64 - 1), max_size=TRIES_LIMIT))
def test_a_block_comes_back_as_it_was(times_ms: list[int]) -> None:
    tries = _tries(*times_ms)
    block = encode_tries(tries)
    assert len(block) == THROTTLE_BYTES
    assert decode_tries(block) == tries


@given(st.integers(0, 99), st.integers(1, 255))
def test_no_changed_byte_of_a_block_is_taken(at: int, change: int) -> None:
    block = bytearray(encode_tries(_tries(1, 2, 3)))
    block[at] ^= change
    assert decode_tries(bytes(block)) is None


@pytest.mark.parametrize("content", [b"", bytes(THROTTLE_BYTES), bytes(THROTTLE_BYTES + 1)])
def test_a_damaged_block_is_none(content: bytes) -> None:
    assert decode_tries(content) is None


def test_wrong_values_can_not_exist() -> None:
    with pytest.raises(ValueError, match="boot id"):
        Tries(boot_id=b"short")
    with pytest.raises(ValueError, match="at most 5"):
        _tries(1, 2, 3, 4, 5, 6)
