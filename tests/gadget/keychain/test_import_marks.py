"""Marks from another board: only raised, no right to sign again, one outcome for each key."""

from broker.messages import ChainEntry, ErrorCode, KeyMarks, KeyOutcome, MarkEntry
from gadget.keychain.errors import StaleWatermark
from gadget.keychain.mark_changes import LAST_ROUND
from gadget.keychain.marks import LEVEL_JUMP_LIMIT, Marks
from gadget.mark_entries import from_entries, to_entries
from tests.fakes.disk import Fault
from tests.gadget.keychain.board import Board, attest, error_code, passphrase, start_board
from tezos.keys import MAINNET, encode_chain_id

import pytest  # isort: skip

_CHAIN = encode_chain_id(MAINNET)
_HASHES = (b"a" * 32, b"b" * 32)


def _entry(level: int, round_: int = 0, payload_hash: bytes | None = None) -> MarkEntry:
    return MarkEntry(level=level, round=round_, hash=payload_hash)


def _from_board(
    board: Board, attestation: MarkEntry | None, *, last_level: int | None = None,
    key_id: str = "baker",
) -> tuple[str, str, Marks]:  # fmt: skip
    chain = ChainEntry(
        chain_id=_CHAIN,
        last_level=last_level,
        block=None,
        preattestation=None,
        attestation=attestation,
    )
    pkh = board.status().pkh
    return key_id, pkh, from_entries(KeyMarks(id=key_id, pkh=pkh, chains=(chain,)))


async def import_marks(board: Board, *marks_of: tuple[str, str, Marks]) -> tuple[KeyOutcome, ...]:
    with passphrase() as secret:
        return await board.keyring.failover.import_marks(secret, marks_of)


async def _export(board: Board) -> KeyMarks:
    key, marks = board.keyring.failover.export_marks("baker")
    return to_entries("baker", key.address, marks, key.entry.chain_id)


async def test_a_higher_mark_is_taken_and_stays() -> None:
    board = await start_board()
    await board.sign(attest(10))
    (outcome,) = await import_marks(board, _from_board(board, _entry(20, 1, _HASHES[0])))
    assert (outcome.code, outcome.message) == (0, f"raised: {_CHAIN} attestation to 20")
    board.cut_power()
    await board.unlock()
    for payload in (attest(20), attest(20, 1)):
        with pytest.raises(StaleWatermark):
            await board.sign(payload)
    await board.sign(attest(20, 2))


async def test_a_lower_mark_changes_nothing() -> None:
    board = await start_board()
    signature = await board.sign(attest(10))
    (outcome,) = await import_marks(board, _from_board(board, _entry(9, 7)))
    assert (outcome.code, outcome.message) == (0, "nothing was higher")
    assert await board.sign(attest(10)) == signature


async def test_own_marks_come_back_without_harm() -> None:
    board = await start_board()
    signature = await board.sign(attest(10))
    exported = await _export(board)
    (outcome,) = await import_marks(board, ("baker", exported.pkh, from_entries(exported)))
    assert outcome.message == "nothing was higher"
    assert await board.sign(attest(10)) == signature


async def test_equal_marks_that_disagree_are_not_signed_again() -> None:
    board = await start_board()
    await board.sign(attest(10))
    await import_marks(board, _from_board(board, _entry(10, 0, _HASHES[0])))
    with pytest.raises(StaleWatermark):
        await board.sign(attest(10))
    (chain,) = (await _export(board)).chains
    assert chain.attestation == _entry(10, 0, None)


async def test_the_last_level_of_the_sender_is_used_up_for_every_kind() -> None:
    board = await start_board()
    await import_marks(board, _from_board(board, _entry(10), last_level=50))
    marks = board.status().marks
    assert marks is not None
    for mark in (marks.block, marks.preattestation, marks.attestation):
        assert mark is not None
        assert (mark.level, mark.round) == (50, LAST_ROUND)
    assert board.status().last_level is None  # it is the sender that is retired
    await board.sign(attest(51))


async def test_a_retired_key_says_so_on_its_own_chain_even_without_marks() -> None:
    board = await start_board()
    with passphrase() as secret:
        await board.keyring.failover.retire(secret, "baker", 50)
    (chain,) = (await _export(board)).chains
    assert (chain.chain_id, chain.last_level, chain.block) == (_CHAIN, 50, None)


async def test_a_mark_years_away_is_refused() -> None:
    board = await start_board()
    await board.sign(attest(10))
    far = 10 + LEVEL_JUMP_LIMIT + 1
    for marks in (_from_board(board, _entry(far)), _from_board(board, None, last_level=far)):
        (outcome,) = await import_marks(board, marks)
        assert outcome.code == ErrorCode.CHANGE_REFUSED
        assert "200000" in outcome.message
    (outcome,) = await import_marks(board, _from_board(board, _entry(far - 1)))
    assert outcome.code == 0


async def test_a_key_that_has_signed_nothing_takes_any_mark_and_guards_from_there() -> None:
    board = await start_board()
    await import_marks(board, _from_board(board, _entry(12_000_000, 0, _HASHES[0])))
    await board.sign(attest(12_000_001))
    await import_marks(board, _from_board(board, _entry(12_000_002, 0, _HASHES[0])))
    assert await error_code(board.sign(attest(13_000_000))) == ErrorCode.LEVEL_JUMP


async def test_an_imported_mark_that_was_signed_is_where_the_jump_guard_starts() -> None:
    board = await start_board()
    await import_marks(board, _from_board(board, _entry(10, 0, _HASHES[0])))
    assert await error_code(board.sign(attest(1_000_000))) == ErrorCode.LEVEL_JUMP


async def test_each_key_has_its_own_outcome() -> None:
    board = await start_board()
    await board.new("other")
    await board.new("lost")
    for slot in (0, 1):
        board.disk.damage(f"marks/{board.status('lost').pkh}.{slot}", None)
    good = _from_board(board, _entry(20))
    lost = ("lost", board.status("lost").pkh, good[2])
    wrong_address = ("other", good[1], good[2])
    missing = ("nobody", good[1], good[2])
    outcomes = await import_marks(board, missing, wrong_address, lost, good)
    assert [outcome.code for outcome in outcomes] == [
        ErrorCode.KEY_NOT_FOUND,
        ErrorCode.KEY_NOT_FOUND,
        ErrorCode.WATERMARK_UNUSABLE,
        0,
    ]


async def test_a_failed_write_is_told_for_its_key() -> None:
    board = await start_board()
    codes = set()
    for call in range(20):
        board.disk.fail_at(call, Fault.ERROR)
        try:
            (outcome,) = await import_marks(board, _from_board(board, _entry(100 + call)))
        except Exception as error:  # noqa: BLE001 - the try could not be counted
            assert "counted" in str(error)  # noqa: PT017
            continue
        codes.add(outcome.code)
        board.disk.fail_never()
        board.clock.ms += 30_000
    assert codes == {0, ErrorCode.CHANGE_FAILED}


async def test_a_locked_key_tells_no_marks_and_takes_some() -> None:
    board = await start_board()
    marks = _from_board(board, _entry(20))
    await board.keyring.lock(())
    with pytest.raises(Exception, match="locked") as caught:
        board.keyring.failover.export_marks("baker")
    assert caught.value.code == ErrorCode.KEY_LOCKED  # type: ignore[attr-defined]
    (outcome,) = await import_marks(board, marks)
    assert outcome.code == 0
    await board.unlock()
    with pytest.raises(StaleWatermark):
        await board.sign(attest(20))


async def test_it_wants_the_passphrase() -> None:
    board = await start_board()
    with passphrase(b"wrong") as wrong:
        call = board.keyring.failover.import_marks(wrong, [_from_board(board, _entry(20))])
        assert await error_code(call) == ErrorCode.CHANGE_BAD_PASSPHRASE
