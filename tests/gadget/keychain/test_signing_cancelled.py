"""Each await on the way of a signature, cancelled: what has happened then."""

import pytest
import trio

from broker.messages import ErrorCode, MarkStatus
from gadget.keychain.errors import (
    KeychainError,
    NotRecorded,
    StaleWatermark,
)
from tests.fakes.disk import Fault
from tests.gadget.keychain.board import attest, start_board

_WRITE = ["overwrite", "start_sync", "wait"] * 2


async def test_cancelled_before_the_write_nothing_has_happened() -> None:
    board = await start_board()
    (key,) = board.keyring._keys.values()
    async with key._lock, trio.open_nursery() as nursery:
        nursery.start_soon(board.sign, attest(10))
        await trio.testing.wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
    marks = board.status().marks
    assert marks is not None
    assert marks.attestation is None
    await board.sign(attest(10, variant=1))


async def test_cancelled_during_the_write_the_mark_counts_and_the_key_goes_on() -> None:
    board = await start_board()
    with trio.CancelScope() as scope:
        scope.cancel()
        await board.sign(attest(10))
    marks = board.status().marks
    assert marks is not None
    assert marks.attestation == MarkStatus(level=10, round=0)
    with pytest.raises(StaleWatermark):
        await board.sign(attest(10, variant=1))
    assert board.verifies(await board.sign(attest(10)), attest(10))
    await board.sign(attest(11))


async def test_cancelled_during_a_rewrite_it_is_still_finished() -> None:
    board = await start_board()
    board.disk.fail_at(0, Fault.ERROR)
    with pytest.raises(NotRecorded):
        await board.sign(attest(10))
    board.disk.calls.clear()
    with trio.CancelScope() as scope:
        scope.cancel()
        await board.sign(attest(10))
    assert board.disk.calls[:10] == ["start_sync", "wait"] * 2 + _WRITE
    assert board.verifies(await board.sign(attest(10)), attest(10))


async def test_locking_waits_for_the_signature_in_progress() -> None:
    board = await start_board()
    signatures: list[bytes] = []

    async def sign() -> None:
        signatures.append(await board.sign(attest(10)))

    board.disk.calls.clear()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(sign)
        while not board.disk.calls:
            await trio.lowlevel.checkpoint()
        await board.keyring.lock(())
        assert len(signatures) == 1
    assert board.status().lock_state == "locked"


async def test_a_request_that_waited_behind_a_lock_finds_the_key_locked() -> None:
    board = await start_board()
    (key,) = board.keyring._keys.values()
    codes: list[ErrorCode] = []

    async def sign() -> None:
        try:
            await board.sign(attest(10))
        except KeychainError as error:
            codes.append(error.code)

    async with trio.open_nursery() as nursery, key._lock:
        nursery.start_soon(board.keyring.lock, ())
        await trio.testing.wait_all_tasks_blocked()
        nursery.start_soon(sign)
        await trio.testing.wait_all_tasks_blocked()
    assert codes == [ErrorCode.KEY_LOCKED]
