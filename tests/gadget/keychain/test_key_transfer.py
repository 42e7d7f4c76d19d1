"""Keys that move: retired before they leave, with their marks, and never back to life."""

from contextlib import suppress
from dataclasses import replace

import pytest

from broker.messages import ErrorCode, KeyStatus
from gadget.keychain.errors import (
    Broken,
    KeyRetired,
    NotExportable,
    StaleWatermark,
)
from gadget.keychain.mark_changes import LAST_ROUND
from gadget.keychain.secret import Secret
from tests import payloads
from tests.fakes.disk import Fault, PowerCut
from tests.gadget.keychain.board import Board, attest, error_code, init, passphrase, start_board
from tezos.keys import MAINNET, KeyType

_FILE: bytes = b"words of the file"
_OTHER = b"\x01\x02\x03\x04"


async def start_exportable(seed: int = 0, key_type: KeyType = KeyType.TZ1) -> Board:
    """The key "baker" may be exported, is unlocked and has signed level 10."""
    board = Board(seed=seed)
    await init(board)
    await board.new("baker", key_type, exportable=True)
    await board.unlock()
    await board.sign(attest(10, 3, key_type=key_type))
    return board


async def start_other(seed: int = 99) -> Board:
    board = Board(seed=seed)
    await init(board)
    return board


async def export(board: Board, key_id: str = "baker", file_passphrase: bytes = _FILE) -> bytes:
    with passphrase() as own, Secret(file_passphrase) as of_file:
        address, sealed = await board.keyring.transfer.export_key(own, key_id, of_file)
    assert address == board.status(key_id).pkh
    return sealed


async def take_in(
    board: Board, sealed: bytes, *, key_id: str | None = None, file_passphrase: bytes = _FILE
) -> KeyStatus:
    with passphrase() as own, Secret(file_passphrase) as of_file:
        return await board.keyring.transfer.import_key(own, sealed, of_file, key_id=key_id)


async def _signs_nothing(board: Board, highest: int) -> None:
    for level in (*range(highest + 2), 1_000):
        for payload in (
            attest(level),
            attest(level, 3),
            attest(level, LAST_ROUND),
            payloads.block(level, 0),
            payloads.preattestation("tz1", level, 0),
        ):
            with pytest.raises((StaleWatermark, KeyRetired)):
                await board.sign(payload)


@pytest.mark.parametrize("key_type", list(KeyType))
async def test_a_key_moves_with_its_marks(key_type: KeyType) -> None:
    board, other = await start_exportable(key_type=key_type), await start_other()
    moved = await take_in(other, await export(board))
    assert moved == replace(board.status(), lock_state="locked", marks=None, last_level=None)
    other.cut_power()
    await other.unlock()
    for place in ((10, 3), (10, 4), (9, 0)):
        with pytest.raises(StaleWatermark):
            await other.sign(attest(*place, key_type=key_type))
    payload = attest(11, key_type=key_type)
    assert other.verifies(await other.sign(payload), payload)


async def test_the_original_signs_nothing_any_more() -> None:
    board = await start_exportable()
    await export(board)
    assert board.status().last_level == 10
    await _signs_nothing(board, 10)
    board.cut_power()
    await board.unlock()
    await _signs_nothing(board, 10)
    with passphrase() as secret:
        call = board.keyring.failover.set_chain(secret, "baker", _OTHER)
        assert await error_code(call) == ErrorCode.KEY_RETIRED


async def test_an_original_that_has_signed_nothing_never_will() -> None:
    board = Board()
    await init(board)
    await board.new("baker", exportable=True)
    sealed = await export(board)
    await board.unlock()
    await _signs_nothing(board, 1)
    other = await start_other()
    await take_in(other, sealed)
    await other.unlock()
    await other.sign(attest(1))


async def test_a_locked_key_can_be_exported_and_again() -> None:
    board = await start_exportable()
    board.restart()
    first = await export(board)
    second = await export(board)
    assert first != second
    assert board.status().last_level == 10
    for sealed in (first, second):
        other = await start_other()
        assert (await take_in(other, sealed)).pkh == board.status().pkh


async def test_a_retirement_that_was_planned_is_brought_forward() -> None:
    board = await start_exportable()
    with passphrase() as secret:
        await board.keyring.failover.retire(secret, "baker", 50)
    sealed = await export(board)
    assert board.status().last_level == 10
    other = await start_other()
    assert (await take_in(other, sealed)).last_level is None


async def test_only_a_key_that_was_made_for_it_leaves() -> None:
    board = await start_board()
    with pytest.raises(NotExportable) as caught:
        await export(board)
    assert caught.value.code == ErrorCode.NOT_EXPORTABLE
    await board.sign(attest(10))


async def test_a_key_without_a_chain_does_not_leave() -> None:
    board = Board()
    await init(board)
    await board.new("baker", KeyType.TZ1, None, exportable=True)
    assert await error_code(export(board)) == ErrorCode.CHANGE_REFUSED
    await board.unlock()
    await board.sign(attest(10))  # this binds it
    await export(board)
    await _signs_nothing(board, 10)


async def test_marks_of_every_chain_move_along() -> None:
    board = await start_exportable()
    with passphrase() as secret:
        await board.keyring.failover.set_chain(secret, "baker", _OTHER)
    await board.sign(payloads.attestation("tz1", 5, 0, chain_id=_OTHER))
    other = await start_other()
    await take_in(other, await export(board))
    await other.unlock()
    with pytest.raises(StaleWatermark):
        await other.sign(payloads.attestation("tz1", 5, 1, chain_id=_OTHER))
    with passphrase() as secret:
        await other.keyring.failover.set_chain(secret, "baker", MAINNET)
    with pytest.raises(StaleWatermark):
        await other.sign(attest(10, 3))  # no right to sign again
    await other.sign(attest(10, 4))


async def test_an_import_meets_the_tombstone_of_its_key() -> None:
    board, other = await start_exportable(), await start_other()
    sealed = await export(board)
    await take_in(other, sealed)
    await other.unlock()
    await other.sign(attest(40))
    await other.delete("baker")
    again = await take_in(other, sealed, key_id="again")
    assert again.id == "again"
    await other.unlock()
    with pytest.raises(StaleWatermark):
        await other.sign(attest(40, variant=1), "again")
    await other.sign(attest(41), "again")


async def test_a_key_does_not_come_back_to_the_board_that_gave_it_away() -> None:
    board = await start_exportable()
    sealed = await export(board)
    assert (await take_in(board, sealed)).last_level == 10  # still there: only the marks
    await board.delete("baker")
    assert (await take_in(board, sealed)).last_level == 10
    await board.unlock()
    await _signs_nothing(board, 10)
    # The tombstone is gone, the record and the marks have it.
    for slot in (0, 1):
        board.disk.damage(f"marks/{board.status().pkh}.{slot}", None)
    board.restart()
    with passphrase() as secret:
        await board.keyring.failover.set_level(secret, "baker", None, 20)
    assert board.status().last_level == 10


async def test_a_key_that_is_there_only_gets_the_marks() -> None:
    board, other = await start_exportable(), await start_other()
    first = await export(board)
    await take_in(other, first)
    await other.unlock()
    await other.sign(attest(40))
    await take_in(other, first, key_id="more")
    assert [key.id for key in other.keyring.status()] == ["baker"]
    await other.sign(attest(41))


async def test_a_newer_file_raises_the_marks_of_a_key_that_is_there() -> None:
    board, second, standby = await start_exportable(), await start_other(1), await start_other(2)
    first = await export(board)
    for other in (second, standby):
        await take_in(other, first)
        await other.unlock()
    await second.sign(attest(40))
    await take_in(standby, await export(second))
    with pytest.raises(StaleWatermark):
        await standby.sign(attest(40, variant=1))
    await standby.sign(attest(41))


async def test_an_import_needs_a_free_name() -> None:
    board, other = await start_exportable(), await start_other()
    await other.new("baker")
    sealed = await export(board)
    assert await error_code(take_in(other, sealed)) == ErrorCode.NEW_KEY_EXISTS
    assert (await take_in(other, sealed, key_id="moved")).id == "moved"
    await other.unlock()
    await other.sign(attest(11), "moved")


async def test_a_key_goes_on_to_a_third_board() -> None:
    board, second, third = await start_exportable(), await start_other(1), await start_other(2)
    await take_in(second, await export(board))
    await second.unlock()
    await second.sign(attest(30))
    await take_in(third, await export(second))
    await third.unlock()
    await _signs_nothing(second, 30)
    with pytest.raises(StaleWatermark):
        await third.sign(attest(30, 1))
    await third.sign(attest(31))


async def test_passphrases_are_asked_for() -> None:
    board, other = await start_exportable(), await start_other()
    assert await error_code(export(board, file_passphrase=b"")) == ErrorCode.CHANGE_BAD_PASSPHRASE
    with passphrase(b"wrong") as wrong, Secret(_FILE) as of_file:
        call = board.keyring.transfer.export_key(wrong, "baker", of_file)
        assert await error_code(call) == ErrorCode.CHANGE_BAD_PASSPHRASE
    assert board.status().last_level is None
    sealed = await export(board)
    for text, code in (
        (b"wrong", ErrorCode.KEY_FILE_REFUSED),
        (b"", ErrorCode.CHANGE_BAD_PASSPHRASE),
    ):
        assert await error_code(take_in(other, sealed, file_passphrase=text)) == code
    assert other.keyring.status() == ()


@pytest.mark.parametrize("fault", [Fault.ERROR, Fault.CUT])
async def test_what_left_the_board_is_retired_whenever_it_fails(fault: Fault) -> None:
    left = kept = 0
    for call in range(60):
        board = await start_exportable(seed=call)
        board.disk.fail_at(call, fault)
        sealed = None
        with suppress(Broken, PowerCut):
            sealed = await export(board)
        board.cut_power()
        board.clock.ms += 30_000
        (outcome,) = await board.unlock()
        assert outcome.code == 0
        if sealed is None:
            kept += board.status().last_level is None
            continue
        left += 1
        assert board.status().last_level == 10
        assert board.status("baker").marks == _closed(board)
    assert left
    assert kept


def _closed(board: Board) -> object:
    marks = board.status().marks
    assert marks is not None
    for mark in (marks.block, marks.preattestation, marks.attestation):
        assert mark is not None
        assert (mark.level, mark.round) == (10, LAST_ROUND)
    return marks


@pytest.mark.parametrize("fault", [Fault.ERROR, Fault.CUT])
async def test_an_import_is_there_with_its_marks_or_not_at_all(fault: Fault) -> None:
    sealed = await export(await start_exportable())
    ends = set()
    for call in range(60):
        board = await start_other(seed=call)
        board.disk.fail_at(call, fault)
        answered = False
        with suppress(Broken, PowerCut):
            await take_in(board, sealed)
            answered = True
        board.cut_power()
        board.clock.ms += 30_000
        ids = [key.id for key in board.keyring.status()]
        assert ids or not answered
        ends.add((answered, bool(ids)))
        if ids:
            (outcome,) = await board.unlock()
            assert outcome.code == 0
            with pytest.raises(StaleWatermark):
                await board.sign(attest(10, 3, variant=1))
    assert {(True, True), (False, False)} <= ends
