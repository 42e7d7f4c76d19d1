"""Signing on a disk that fails, with a library that fails, and without marks."""

import contextlib
import logging

import pytest

from broker.messages import ErrorCode, MarkStatus
from gadget.keychain.errors import (
    KeychainError,
    KeyLocked,
    NotRecorded,
    SignFailed,
    StaleWatermark,
    WatermarkUnusable,
)
from tests.fakes.disk import Fault
from tests.gadget.keychain.board import StandInSigner, attest, start_board

_WRITE = ["overwrite", "start_sync", "wait"] * 2
_REWRITE = ["start_sync", "wait"] * 2 + _WRITE


def _fail() -> None:
    raise RuntimeError("library")


@pytest.mark.parametrize("fault", [Fault.ERROR, Fault.SHORT])
@pytest.mark.parametrize("call", range(6))
async def test_a_failed_write_signs_nothing_and_is_not_called_stale(
    call: int, fault: Fault
) -> None:
    """Seen elsewhere (docs/faults.md): a full disk is no double sign."""
    board = await start_board()
    await board.sign(attest(10))
    board.disk.fail_at(call, fault)
    with pytest.raises(NotRecorded, match="could not record") as caught:
        await board.sign(attest(11))
    assert caught.value.code == ErrorCode.SIGN_FAILED
    marks = board.status().marks
    assert marks is not None
    assert marks.attestation == MarkStatus(level=10, round=0)


async def test_after_a_failed_write_both_slots_are_rewritten_first() -> None:
    board = await start_board()
    await board.sign(attest(10))
    board.disk.fail_at(2, Fault.ERROR)
    with pytest.raises(NotRecorded):
        await board.sign(attest(11))
    board.disk.calls.clear()
    assert board.verifies(await board.sign(attest(11)), attest(11))
    assert board.disk.calls == _REWRITE + _WRITE


async def test_after_a_failed_write_even_a_repeat_waits_for_the_rewrite() -> None:
    board = await start_board()
    signature = await board.sign(attest(10))
    board.disk.fail_at(2, Fault.ERROR)
    with pytest.raises(NotRecorded):
        await board.sign(attest(11))
    board.disk.is_read_only = True
    with pytest.raises(NotRecorded):
        await board.sign(attest(10))
    board.disk.is_read_only = False
    board.disk.calls.clear()
    assert await board.sign(attest(10)) == signature
    assert board.disk.calls == _REWRITE


async def test_another_payload_may_be_signed_where_the_first_was_never_released() -> None:
    board = await start_board()
    board.disk.fail_at(5, Fault.ERROR)
    with pytest.raises(NotRecorded):
        await board.sign(attest(11, variant=1))
    assert board.verifies(await board.sign(attest(11, variant=2)), attest(11, variant=2))
    with pytest.raises(StaleWatermark):
        await board.sign(attest(11, variant=1))


async def test_the_fault_of_one_write_is_never_taken_for_that_of_the_next() -> None:
    """Seen elsewhere (docs/faults.md): an early error leaves no result behind."""
    board = await start_board()
    broken = StandInSigner(board, _fail)
    board.disk.fail_at(2, Fault.ERROR)
    with pytest.raises(NotRecorded):
        await board.sign(attest(10))
    broken.leave()
    assert board.verifies(await board.sign(attest(11)), attest(11))


async def test_a_signature_that_could_not_be_computed_leaves_the_mark() -> None:
    board = await start_board()
    broken = StandInSigner(board, _fail)
    board.disk.calls.clear()
    with pytest.raises(SignFailed) as caught:
        await board.sign(attest(10))
    assert caught.value.code == ErrorCode.SIGN_FAILED
    assert board.disk.calls == _WRITE
    broken.leave()
    with pytest.raises(StaleWatermark):
        await board.sign(attest(10, variant=1))
    assert board.verifies(await board.sign(attest(10)), attest(10))


async def test_a_full_disk_does_not_stop_signing() -> None:
    board = await start_board()
    board.disk.is_full = True
    assert board.verifies(await board.sign(attest(10)), attest(10))


async def test_a_read_only_disk_is_could_not_record() -> None:
    board = await start_board()
    board.disk.is_read_only = True
    with pytest.raises(NotRecorded, match="Read-only"):
        await board.sign(attest(10))


async def test_a_fault_is_logged_once_as_an_error(caplog: pytest.LogCaptureFixture) -> None:
    board = await start_board()
    board.disk.fail_at(0, Fault.ERROR)
    caplog.clear()
    with pytest.raises(NotRecorded):
        await board.sign(attest(10))
    assert [record.levelno for record in caplog.records] == [logging.ERROR]


async def test_signing_logs_nothing(caplog: pytest.LogCaptureFixture) -> None:
    board = await start_board()
    caplog.clear()
    await board.sign(attest(10))
    assert caplog.records == []


async def test_marks_that_are_gone_make_the_key_unusable_never_zero() -> None:
    """Seen elsewhere (docs/faults.md): missing, zero or short marks are no mark of zero."""
    for how in (None, bytes(4096), b"", b"short"):
        board = await start_board()
        await board.sign(attest(10))
        address = board.status().pkh
        board.restart()
        for slot in (0, 1):
            board.disk.damage(f"marks/{address}.{slot}", how)
        (outcome,) = await board.unlock()
        assert outcome.code == ErrorCode.WATERMARK_UNUSABLE
        assert board.status().lock_state == "unusable"
        assert board.status().marks is None
        with pytest.raises(WatermarkUnusable) as caught:
            await board.sign(attest(11))
        assert caught.value.code == ErrorCode.WATERMARK_UNUSABLE
        await board.keyring.lock(())
        assert board.status().lock_state == "unusable"


async def test_status_touches_no_mark() -> None:
    """Seen elsewhere (docs/faults.md): reading the status changes neither memory nor disk."""
    board = await start_board()
    await board.sign(attest(10))
    board.disk.calls.clear()
    before = board.keyring.status()
    assert board.keyring.status() == before
    assert board.disk.calls == []


async def test_whatever_fails_while_unlocking_nothing_is_answered_before_a_rewrite() -> None:
    board = await start_board()
    signature = await board.sign(attest(10))
    address = board.status().pkh

    def sequences() -> list[int]:
        blocks = [board.disk.content(f"marks/{address}.{slot}") for slot in (0, 1)]
        return [int.from_bytes(block[16:24], "little") for block in blocks]

    answered = 0
    for call in range(30):
        before = max(sequences())
        board.restart()
        board.clock.ms += 60_000
        board.disk.fail_at(call, Fault.ERROR)
        with contextlib.suppress(KeychainError):
            await board.unlock()
        board.disk.fail_never()
        try:
            assert await board.sign(attest(10)) == signature
        except KeyLocked:
            continue
        answered += 1
        assert min(sequences()) > before
    assert answered > 15


async def test_an_unlocked_key_whose_rewrite_failed_says_so_and_signs_after_one() -> None:
    board = await start_board()
    board.restart()
    board.disk.calls.clear()
    await board.unlock()
    rewrite = len(board.disk.calls) - 1  # its last sync
    board.restart()
    board.disk.calls.clear()
    board.disk.fail_at(rewrite, Fault.ERROR)
    (outcome,) = await board.unlock()
    assert outcome.code == 0
    assert "signs nothing yet" in outcome.message
    board.disk.calls.clear()
    await board.sign(attest(10))
    assert board.disk.calls == _REWRITE + _WRITE
