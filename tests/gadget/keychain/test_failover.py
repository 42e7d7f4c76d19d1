"""set-level, set-chain and retire on a keyring: durable, with the passphrase, never backwards."""

from collections.abc import Awaitable, Callable

import pytest

from broker.messages import ErrorCode, KeyStatus
from gadget.keychain.errors import (
    Broken,
    KeyNotFound,
    KeyRetired,
    LevelJump,
    StaleWatermark,
    WrongChain,
)
from gadget.keychain.mark_changes import LAST_ROUND
from gadget.keychain.secret import Secret
from tests import payloads
from tests.fakes.disk import Fault, PowerCut
from tests.gadget.keychain.board import Board, attest, error_code, passphrase, start_board
from tezos.keys import MAINNET, encode_chain_id

_OTHER = b"\x01\x02\x03\x04"
Change = Callable[[Board, Secret], Awaitable[KeyStatus]]


async def set_level(board: Board, level: int, chain_id: bytes | None = None) -> KeyStatus:
    with passphrase() as secret:
        return await board.keyring.failover.set_level(secret, "baker", chain_id, level)


async def set_chain(board: Board, chain_id: bytes) -> KeyStatus:
    with passphrase() as secret:
        return await board.keyring.failover.set_chain(secret, "baker", chain_id)


async def retire(board: Board, last_level: int) -> KeyStatus:
    with passphrase() as secret:
        return await board.keyring.failover.retire(secret, "baker", last_level)


def _lose_marks(board: Board) -> None:
    for slot in (0, 1):
        board.disk.damage(f"marks/{board.status().pkh}.{slot}", None)


def _attested(status: KeyStatus) -> tuple[int, int] | None:
    assert status.marks is not None
    mark = status.marks.attestation
    return None if mark is None else (mark.level, mark.round)


CHANGES: dict[str, Change] = {
    "set_level": lambda b, s: b.keyring.failover.set_level(s, "baker", None, 20),
    "set_chain": lambda b, s: b.keyring.failover.set_chain(s, "baker", _OTHER),
    "retire": lambda b, s: b.keyring.failover.retire(s, "baker", 20),
}


# set-level


async def test_a_level_that_was_set_is_used_up_and_stays_so() -> None:
    board = await start_board()
    await board.sign(attest(10))
    assert _attested(await set_level(board, 20)) == (20, LAST_ROUND)
    for payload in (attest(10), attest(20, 7), payloads.block(20, 0)):
        with pytest.raises(StaleWatermark):
            await board.sign(payload)
    board.cut_power()
    await board.unlock()
    with pytest.raises(StaleWatermark):
        await board.sign(attest(20))
    await board.sign(attest(21))


async def test_the_level_of_a_locked_key_is_set_as_well() -> None:
    board = await start_board()
    await board.sign(attest(10))
    board.restart()
    assert (await set_level(board, 20)).lock_state == "locked"
    handles = board.disk.open_handles
    board.cut_power()
    assert handles == 1  # the throttle's
    await board.unlock()
    assert _attested(board.status()) == (20, LAST_ROUND)


async def test_a_level_below_the_marks_is_refused_and_changes_nothing() -> None:
    board = await start_board()
    await set_level(board, 20)
    before = board.status()
    assert await error_code(set_level(board, 19)) == ErrorCode.CHANGE_REFUSED
    assert board.status() == before


async def test_an_idle_key_gets_over_the_jump_guard_by_its_level() -> None:
    board = await start_board()
    await board.sign(attest(10))
    with pytest.raises(LevelJump):
        await board.sign(attest(1_000_000))
    await set_level(board, 999_999)
    await board.sign(attest(1_000_000))


@pytest.mark.parametrize("content", [None, b"", bytes(4096)])
async def test_lost_marks_come_back_by_set_level_alone(content: bytes | None) -> None:
    board = await start_board()
    await board.sign(attest(10))
    _lose_marks(board)
    if content is not None:
        for slot in (0, 1):
            board.disk.damage(f"marks/{board.status().pkh}.{slot}", content)
    board.restart()
    await board.unlock()
    assert board.status().lock_state == "unusable"
    assert await error_code(retire(board, 5)) == ErrorCode.WATERMARK_UNUSABLE
    assert await error_code(set_chain(board, _OTHER)) == ErrorCode.WATERMARK_UNUSABLE
    assert (await set_level(board, 20)).lock_state == "locked"
    board.cut_power()
    (outcome,) = await board.unlock()
    assert outcome.code == 0
    with pytest.raises(StaleWatermark):
        await board.sign(attest(20))
    with pytest.raises(LevelJump):
        await board.sign(attest(300_000))
    await board.sign(attest(21))


async def test_lost_marks_of_other_chains_stay_lost() -> None:
    board = await start_board()
    await board.sign(attest(10))
    _lose_marks(board)
    board.restart()
    await set_level(board, 20)
    await board.unlock()
    await set_chain(board, _OTHER)
    payload = payloads.attestation("tz1", 5, 0, chain_id=_OTHER)
    with pytest.raises(WrongChain, match="lost"):
        await board.sign(payload)
    await set_level(board, 4)
    await board.sign(payload)


async def _start_contradicting_board(seed: int) -> Board:
    """Both slots of "baker" are whole and have one number, far above the first of new marks."""
    board = await start_board(seed=seed)
    (key,) = board.keyring._keys.values()
    assert key._unlocked is not None
    store = key._unlocked.store
    store._sequence += 1000
    await board.sign(attest(10))
    slot = f"marks/{key.address}.0"
    kept = board.disk.content(slot)
    store._sequence -= 1
    await board.sign(attest(11))
    board.disk.damage(slot, kept)
    board.restart()
    (outcome,) = await board.unlock()
    assert "contradict" in outcome.message
    return board


async def test_marks_that_contradict_each_other_do_not_come_back_half_way() -> None:
    ends = set()
    for call in range(30):
        for seed in range(3):
            board = await _start_contradicting_board(seed)
            board.disk.fail_at(call, Fault.ERROR)
            try:
                await set_level(board, 20)
            except Broken:
                board.cut_power()
                board.clock.ms += 30_000
            board.disk.fail_never()
            (outcome,) = await board.unlock()
            ends.add(outcome.code)
            if outcome.code == 0:
                assert _attested(board.status()) == (20, LAST_ROUND)
    assert ends == {0, ErrorCode.WATERMARK_UNUSABLE}


async def test_a_retired_key_that_lost_its_marks_stays_retired() -> None:
    board = await start_board()
    await board.sign(attest(10))
    await retire(board, 15)
    _lose_marks(board)
    board.restart()
    assert board.status().last_level == 15  # also while it is locked
    await set_level(board, 11)
    await board.unlock()
    assert board.status().last_level == 15
    await board.sign(attest(15))
    with pytest.raises(KeyRetired):
        await board.sign(attest(16))


async def test_a_key_without_a_chain_needs_one_to_be_named() -> None:
    board = await start_board(chain_id=None)
    assert await error_code(set_level(board, 20)) == ErrorCode.CHANGE_REFUSED
    assert await error_code(retire(board, 20)) == ErrorCode.CHANGE_REFUSED
    await set_level(board, 20, MAINNET)
    with pytest.raises(StaleWatermark):
        await board.sign(attest(20))


async def test_the_first_chain_of_a_key_that_lost_its_marks_has_to_be_named() -> None:
    board = await start_board(chain_id=None)
    await board.sign(attest(10))
    _lose_marks(board)
    board.restart()
    assert await error_code(set_level(board, 20)) == ErrorCode.CHANGE_REFUSED
    await set_level(board, 20, MAINNET)
    await board.unlock()
    assert board.status().chain_id == encode_chain_id(MAINNET)


# set-chain


async def test_another_chain_has_its_own_marks_and_none_is_deleted() -> None:
    board = await start_board()
    await board.sign(attest(10))
    other = payloads.attestation("tz1", 5, 0, chain_id=_OTHER)
    with pytest.raises(WrongChain):
        await board.sign(other)
    status = await set_chain(board, _OTHER)
    assert status.chain_id == encode_chain_id(_OTHER)
    assert _attested(status) is None
    await board.sign(other)
    with pytest.raises(WrongChain):
        await board.sign(attest(11))
    board.cut_power()
    await board.unlock()
    await board.sign(payloads.attestation("tz1", 6, 0, chain_id=_OTHER))
    await set_chain(board, MAINNET)
    assert _attested(board.status()) == (10, 0)
    with pytest.raises(StaleWatermark):
        await board.sign(attest(10, variant=1))


async def test_a_retired_key_stays_on_its_chain() -> None:
    board = await start_board()
    await retire(board, 15)
    assert await error_code(set_chain(board, _OTHER)) == ErrorCode.KEY_RETIRED


# retire


async def test_a_retired_key_signs_up_to_its_last_level_and_no_further() -> None:
    board = await start_board()
    assert (await retire(board, 15)).last_level == 15
    await board.sign(attest(15, 3))
    board.cut_power()
    await board.unlock()
    with pytest.raises(KeyRetired):
        await board.sign(attest(16))
    assert (await retire(board, 12)).last_level == 12
    for level in (13, 2**31 - 1):
        assert await error_code(retire(board, level)) == ErrorCode.CHANGE_REFUSED
    assert board.status().last_level == 12


async def test_a_retired_key_that_is_deleted_and_made_again_is_retired() -> None:
    board = await start_board()
    await retire(board, 15)
    record = board.keyring._keystore.record
    assert record is not None
    address = board.status().pkh
    await board.delete("baker")
    record = board.keyring._keystore.record
    assert record is not None
    stone = record.tombstone_of(address)
    assert stone is not None
    assert stone.marks is not None
    assert stone.marks.last_level == 15


# all of them


@pytest.mark.parametrize("name", CHANGES)
async def test_a_change_wants_the_right_passphrase(name: str) -> None:
    board = await start_board()
    before = board.status()
    for text, code in (
        (b"wrong", ErrorCode.CHANGE_BAD_PASSPHRASE),
        (b"", ErrorCode.CHANGE_BAD_PASSPHRASE),
    ):
        with passphrase(text) as wrong:
            assert await error_code(CHANGES[name](board, wrong)) == code  # type: ignore[arg-type]
    with passphrase(b"wrong") as wrong:
        for _ in range(4):
            await error_code(CHANGES[name](board, wrong))  # type: ignore[arg-type]
    with passphrase() as right:
        assert (
            await error_code(CHANGES[name](board, right))  # type: ignore[arg-type]
            == ErrorCode.CHANGE_THROTTLED
        )
    assert board.status() == before


@pytest.mark.parametrize("name", CHANGES)
async def test_a_change_of_a_key_that_is_not_there_is_refused(name: str) -> None:
    board = await start_board()
    await board.delete("baker")
    with pytest.raises(KeyNotFound), passphrase() as secret:
        await CHANGES[name](board, secret)


@pytest.mark.parametrize("fault", [Fault.ERROR, Fault.SHORT, Fault.CUT])
@pytest.mark.parametrize("name", CHANGES)
async def test_a_change_that_was_answered_is_there_after_a_power_cut(
    name: str, fault: Fault
) -> None:
    """At each call of the disk: answered means durable, and the key is usable either way."""
    answered = 0
    for call in range(60):
        board = await start_board(seed=call)
        await board.sign(attest(10))
        before = board.status()
        board.disk.fail_at(call, fault)
        try:
            with passphrase() as secret:
                changed = await CHANGES[name](board, secret)
        except (Broken, PowerCut):
            changed = None
        board.cut_power()
        board.clock.ms += 30_000
        (outcome,) = await board.unlock()
        assert outcome.code == 0
        if changed is not None:
            assert board.status() == changed
            answered += 1
        elif board.status().chain_id == before.chain_id:
            assert (_attested(board.status()) or (-1, -1)) >= (10, 0)
    assert answered
