"""The throttle around every passphrase, over restarts, reboots and disk faults."""

from collections.abc import Callable

import pytest

from broker.messages import ErrorCode
from gadget.keychain.admission import SystemBootClock
from gadget.keychain.errors import (
    BadPassphrase,
    Throttled,
)
from tests.fakes.disk import Fault
from tests.gadget.keychain.board import (
    Board,
    error_code,
    passphrase,
    start_board,
)


async def test_after_five_wrong_passphrases_even_the_right_one_waits() -> None:
    board = await start_board()
    for _ in range(5):
        with passphrase(b"wrong") as wrong, pytest.raises(BadPassphrase):
            await board.keyring.unlock(wrong, ())
    for call, code in (
        (board.unlock(), ErrorCode.UNLOCK_THROTTLED),
        (board.new("x"), ErrorCode.NEW_THROTTLED),
        (board.delete("baker"), ErrorCode.DELETE_THROTTLED),
    ):
        assert await error_code(call) == code
    board.clock.ms += 29_999
    with pytest.raises(Throttled, match="in 1 s"):
        await board.unlock()
    board.clock.ms += 1
    await board.unlock()


def test_the_kernel_s_boot_clock_goes_on_and_names_its_boot() -> None:
    clock = SystemBootClock()
    assert len(clock.boot_id()) == 16
    assert clock.boot_id() == clock.boot_id() != bytes(16)
    assert 0 < clock.now_ms() <= clock.now_ms()


async def test_success_clears_the_count() -> None:
    board = await start_board()
    for _ in range(3):
        for _ in range(4):
            with passphrase(b"wrong") as wrong, pytest.raises(BadPassphrase):
                await board.keyring.unlock(wrong, ())
        await board.unlock()


async def test_tries_are_counted_over_restarts_and_reboots() -> None:
    restarts: tuple[Callable[[Board], None], ...] = (Board.restart, Board.cut_power)
    for again in restarts:
        board = await start_board()
        for _ in range(5):
            with passphrase(b"wrong") as wrong, pytest.raises(BadPassphrase):
                await board.keyring.unlock(wrong, ())
            again(board)
        with pytest.raises(Throttled):
            await board.unlock()
        board.clock.ms += 30_000
        await board.unlock()


async def test_a_try_is_counted_on_disk_before_the_derivation(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    board = await start_board()

    def die(*_args: object) -> None:
        raise RuntimeError("power")

    monkeypatch.setattr("gadget.keychain.admission.derive_kek", die)
    for _ in range(5):
        with pytest.raises(RuntimeError):
            await board.unlock()
        board.cut_power()
    monkeypatch.undo()
    with pytest.raises(Throttled):
        await board.unlock()


@pytest.mark.parametrize("how", [None, b"", b"short", bytes(4096), b"x" * 4096, bytes(5000)])
async def test_a_damaged_throttle_file_counts_as_full(how: bytes | None) -> None:
    board = await start_board()
    board.disk.damage("throttle", how)
    board.restart()
    with pytest.raises(Throttled):
        await board.unlock()
    board.clock.ms += 30_000
    await board.unlock()
    board.restart()
    await board.unlock()


async def test_a_full_disk_does_not_keep_a_baker_from_unlocking() -> None:
    board = await start_board()
    board.disk.is_full = True
    board.restart()
    (outcome,) = await board.unlock()
    assert outcome.code == 0
    board.disk.damage("throttle", bytes(4096))
    board.restart()
    board.clock.ms += 30_000
    (outcome,) = await board.unlock()
    assert outcome.code == 0


async def test_a_try_that_can_not_be_counted_is_not_made() -> None:
    board = await start_board()
    board.disk.is_read_only = True
    for call, code in (
        (board.unlock(), ErrorCode.KEYSTORE_UNUSABLE),
        (board.new("x"), ErrorCode.NEW_FAILED),
        (board.delete("baker"), ErrorCode.DELETE_FAILED),
    ):
        assert await error_code(call) == code
    board.restart()
    assert await error_code(board.unlock()) == ErrorCode.KEYSTORE_UNUSABLE


async def test_a_count_that_can_not_be_cleared_keeps_nobody_out() -> None:
    board = await start_board()
    board.disk.calls.clear()
    board.disk.fail_at(5, Fault.ERROR)  # the second write of the throttle
    (outcome,) = await board.unlock()
    assert outcome.code == 0
