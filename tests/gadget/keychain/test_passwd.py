"""passwd: another passphrase for everything, all or nothing."""

import pytest

from broker.messages import ErrorCode
from gadget.keychain.errors import BadPassphrase, NotStored
from gadget.keychain.keystore_record import decode_record
from tests.fakes.disk import Fault, Killed, PowerCut
from tests.gadget.keychain.board import (
    PASSPHRASE,
    Board,
    attest,
    error_code,
    passphrase,
    start_board,
)
from tezos.keys import KeyType

_NEW = b"battery staple"


async def passwd(board: Board, old: bytes = PASSPHRASE, new: bytes = _NEW) -> None:
    with passphrase(old) as was, passphrase(new) as becomes:
        await board.keyring.passwd(was, becomes)


async def opens(board: Board, text: bytes) -> bool:
    """Whether this passphrase opens every key; it opens all or none."""
    board.clock.ms += 30_000
    try:
        with passphrase(text) as secret:
            outcomes = await board.keyring.unlock(secret, ())
    except BadPassphrase:
        return False
    assert [outcome.code for outcome in outcomes] == [0] * len(outcomes)
    return True


@pytest.mark.parametrize("deterministic", [False, True])
async def test_the_new_passphrase_opens_everything_and_the_old_one_nothing(
    deterministic: bool,
) -> None:
    board = await start_board(deterministic=deterministic)
    await board.new("other", KeyType.TZ4)
    await board.sign(attest(10))
    await passwd(board)
    board.cut_power()
    assert not await opens(board, PASSPHRASE)
    assert await opens(board, _NEW)
    assert await board.sign(attest(10))  # the same bytes: the marks came along
    with passphrase(_NEW) as secret:
        made = await board.keyring.new(secret, "third", KeyType.TZ1, None)
        await board.keyring.delete(secret, "other")
    assert made.id == "third"


async def test_keys_stay_unlocked_and_can_be_locked_and_unlocked_again() -> None:
    board = await start_board()
    signature = await board.sign(attest(10))
    await passwd(board)
    assert await board.sign(attest(10)) == signature
    await board.keyring.lock(())
    assert not await opens(board, PASSPHRASE)
    assert await opens(board, _NEW)
    with passphrase(_NEW) as secret:
        await board.keyring.failover.set_level(secret, "baker", None, 20)


async def test_salt_and_every_wrapped_piece_are_new() -> None:
    board = await start_board(deterministic=True)
    _, before = decode_record(board.disk.content("keystore.0"))
    await passwd(board, new=PASSPHRASE)  # even for the same words
    _, after = decode_record(board.disk.content("keystore.0"))
    assert before.salt != after.salt
    assert before.verifier != after.verifier
    assert before.sealed_seed != after.sealed_seed
    assert before.keys[0].wrapped_dek != after.keys[0].wrapped_dek
    assert before.keys[0].sealed_secret == after.keys[0].sealed_secret


async def test_it_wants_the_old_passphrase_and_some_new_one() -> None:
    board = await start_board()
    assert await error_code(passwd(board, old=b"wrong")) == ErrorCode.CHANGE_BAD_PASSPHRASE
    assert await error_code(passwd(board, new=b"")) == ErrorCode.CHANGE_BAD_PASSPHRASE
    for _ in range(5):
        await error_code(passwd(board, old=b"wrong"))
    assert await error_code(passwd(board)) == ErrorCode.CHANGE_THROTTLED
    assert await opens(board, PASSPHRASE)


async def test_a_key_that_does_not_open_keeps_the_old_passphrase_for_all() -> None:
    board = await start_board()
    await board.new("other")
    record = board.keyring._keystore.record
    assert record is not None
    damaged = record.keys[0].wrapped_dek[::-1]
    for name in ("keystore.0", "keystore.1"):
        content = board.disk.content(name)
        assert record.keys[0].wrapped_dek in content
    (first, _) = board.keyring._keys.values()
    object.__setattr__(first.entry, "wrapped_dek", damaged)
    assert await error_code(passwd(board)) == ErrorCode.KEYSTORE_UNUSABLE
    board.restart()
    assert await opens(board, PASSPHRASE)


async def test_a_full_disk_changes_nothing() -> None:
    board = await start_board()
    board.disk.is_full = True
    assert await error_code(passwd(board)) == ErrorCode.CHANGE_FAILED
    board.disk.is_full = False
    assert await opens(board, PASSPHRASE)
    await passwd(board)
    await board.keyring.lock(())
    assert await opens(board, _NEW)


@pytest.mark.parametrize("fault", list(Fault))
async def test_exactly_one_passphrase_opens_everything_whenever_it_fails(fault: Fault) -> None:
    ends = set()
    for call in range(40):
        for seed in range(3):
            board = await start_board(seed=seed, deterministic=True)
            await board.new("other")
            board.disk.fail_at(call, fault)
            answered = False
            try:
                await passwd(board)
                answered = True
            except (NotStored, PowerCut, Killed):
                pass
            if fault is Fault.KILL:
                board.restart()
            else:
                board.cut_power()
            old, new = await opens(board, PASSPHRASE), await opens(board, _NEW)
            assert old != new
            assert new or not answered
            ends.add((answered, new))
    assert (True, True) in ends
    assert (False, False) in ends


async def test_after_an_unsettled_failure_the_old_passphrase_is_written_again() -> None:
    settled = 0
    for call in range(40):
        board = await start_board(seed=call)
        board.disk.fail_at(call, Fault.ERROR)
        try:
            await passwd(board)
        except NotStored as error:
            settled += error.unsettled
            await board.keyring.lock(())
            assert await opens(board, PASSPHRASE)
            board.cut_power()
            assert await opens(board, PASSPHRASE)
    assert settled
