"""init and new: what is made, in which order on disk, and their error codes."""

import contextlib
from collections.abc import Coroutine
from dataclasses import replace
from typing import Any

import pytest

from broker.messages import ErrorCode
from gadget.keychain.errors import (
    AlreadyInitialised,
    KeychainError,
    KeyExists,
    KeystoreUnusable,
    NewRefused,
    PayloadRefused,
)
from gadget.keychain.keyring import Keyring
from gadget.keychain.keystore_record import KEYS_LIMIT, decode_record
from tests.fakes.disk import Fault
from tests.gadget.keychain.board import (
    Board,
    error_code,
    init,
    passphrase,
    start_board,
)
from tezos.derivation import derive_secret
from tezos.keys import KeyType, PublicKey
from tezos.signers import open_signer
from tezos.verify import decode_signature, verify_possession


async def test_an_empty_folder_is_not_initialised_and_has_no_keys() -> None:
    board = Board()
    assert not board.keyring.is_initialised
    assert not board.keyring.is_deterministic
    assert board.keyring.status() == ()
    assert await error_code(board.unlock()) == ErrorCode.UNLOCK_NO_KEYS
    assert await error_code(board.keyring.lock(())) == ErrorCode.LOCK_NO_KEYS
    assert await error_code(board.new("baker")) == ErrorCode.NEW_REFUSED
    assert await error_code(board.delete("baker")) == ErrorCode.DELETE_NO_KEY
    assert await error_code(board.keyring.sign("tz1", b"")) == ErrorCode.KEY_NOT_FOUND


async def test_init_makes_a_keystore_that_survives_a_power_cut() -> None:
    for deterministic in (False, True):
        board = Board()
        await init(board, deterministic=deterministic)
        board.cut_power()
        assert board.keyring.is_initialised
        assert board.keyring.is_deterministic is deterministic


async def test_init_is_refused_where_there_is_a_keystore() -> None:
    board = await start_board()
    with pytest.raises(AlreadyInitialised) as caught:
        await init(board)
    assert caught.value.code == ErrorCode.INIT_ALREADY


async def test_an_empty_passphrase_is_missing() -> None:
    board = Board()
    with passphrase(b"") as empty:
        assert (
            await error_code(board.keyring.init(empty, False)) == ErrorCode.INIT_PASSPHRASE_MISSING
        )
        await init(board)
        await board.new("baker")
        calls: list[tuple[Coroutine[Any, Any, object], ErrorCode]] = [
            (board.keyring.unlock(empty, ()), ErrorCode.UNLOCK_PASSPHRASE_MISSING),
            (board.keyring.new(empty, "x", KeyType.TZ1, None), ErrorCode.NEW_BAD_PASSPHRASE),
            (board.keyring.delete(empty, "baker"), ErrorCode.DELETE_BAD_PASSPHRASE),
        ]
        for call, code in calls:
            assert await error_code(call) == code


async def test_init_that_can_not_be_stored_leaves_nothing() -> None:
    board = Board()
    board.disk.is_full = True
    assert await error_code(init(board)) == ErrorCode.INIT_FAILED
    assert not board.keyring.is_initialised
    board.disk.is_full = False
    await init(board)
    assert board.keyring.is_initialised


async def test_a_damaged_keystore_is_never_taken_for_none() -> None:
    board = await start_board()
    for copy in ("keystore.0", "keystore.1"):
        board.disk.damage(copy, b"junk")
    board.restart()
    for ask in (
        lambda: board.keyring.is_initialised,
        lambda: board.keyring.is_deterministic,
        board.keyring.status,
        lambda: board.keyring.prove_possession("tz4", None),
    ):
        with pytest.raises(KeystoreUnusable) as caught:
            ask()
        assert caught.value.code == ErrorCode.KEYSTORE_UNUSABLE
    for call in (
        init(board),
        board.new("x"),
        board.unlock(),
        board.keyring.lock(()),
        board.delete("baker"),
        board.keyring.sign("tz1", b""),
    ):
        assert await error_code(call) == ErrorCode.KEYSTORE_UNUSABLE


async def test_a_keystore_of_other_costs_is_unusable_and_not_derived_from() -> None:
    board = await start_board()
    keyring = Keyring(board.disk.restart_process())  # production parameters
    keyring.load()
    with pytest.raises(KeystoreUnusable, match="Argon2id"):
        keyring.status()


# new


@pytest.mark.parametrize("key_type", list(KeyType))
async def test_a_new_key_is_locked_and_known_after_a_power_cut(key_type: KeyType) -> None:
    board = Board()
    await init(board)
    made = await board.new("baker", key_type)
    assert (made.id, made.type, made.lock_state) == ("baker", key_type, "locked")
    assert made.chain_id == "NetXdQprcVkpaWU"
    assert made.marks is None
    assert PublicKey.from_base58(made.public_key).address == made.pkh
    board.cut_power()
    assert board.keyring.status() == (made,)


async def test_a_tz4_key_has_its_proof_of_possession() -> None:
    board = await start_board(key_type=KeyType.TZ4)
    status = board.status()
    assert status.proof_of_possession is not None
    public_key = PublicKey.from_base58(status.public_key)
    assert verify_possession(public_key, decode_signature(status.proof_of_possession).data)
    assert board.keyring.prove_possession(status.pkh, None)


async def test_an_unlocked_key_proves_its_possession_over_another_key() -> None:
    board = await start_board(key_type=KeyType.TZ4)
    await board.new("other", KeyType.TZ4)
    other = PublicKey.from_base58(board.status("other").public_key)
    proof = board.keyring.prove_possession(board.status().pkh, other.data)
    assert verify_possession(PublicKey.from_base58(board.status().public_key), proof, over=other)
    with pytest.raises(KeychainError) as caught:
        board.keyring.prove_possession(board.status("other").pkh, None)
    assert caught.value.code == ErrorCode.KEY_LOCKED


async def test_only_a_tz4_key_proves_its_possession_and_only_over_a_key() -> None:
    for key_type, over in ((KeyType.TZ1, None), (KeyType.TZ4, b"\xff" * 48)):
        board = await start_board(key_type=key_type)
        with pytest.raises(PayloadRefused):
            board.keyring.prove_possession(board.status().pkh, over)


async def test_keys_are_listed_in_the_order_of_their_creation() -> None:
    board = await start_board()
    for key_id in ("zebra", "ant"):
        await board.new(key_id)
    board.restart()
    assert [key.id for key in board.keyring.status()] == ["baker", "zebra", "ant"]


async def test_an_id_is_never_given_twice() -> None:
    board = await start_board()
    with pytest.raises(KeyExists) as caught:
        await board.new("baker")
    assert caught.value.code == ErrorCode.NEW_KEY_EXISTS


async def test_no_more_keys_than_there_is_room_for() -> None:
    board = await start_board()
    for number in range(KEYS_LIMIT - 1):
        await board.new(f"key-{number}")
    with pytest.raises(NewRefused) as caught:
        await board.new("one-more")
    assert caught.value.code == ErrorCode.NEW_REFUSED
    assert len(await board.unlock()) == KEYS_LIMIT


async def test_marks_are_durable_before_the_record_that_names_their_key() -> None:
    board = await start_board()
    board.disk.calls.clear()
    await board.new("other")
    changes = [call for call in board.disk.calls if call in ("rename", "sync_folder")]
    assert changes == ["rename", "sync_folder"] * 4
    for call in range(60):
        for seed in range(3):
            board = await start_board(seed=seed)
            board.disk.fail_at(call, Fault.ERROR)
            with contextlib.suppress(KeychainError):
                await board.new("other")
            board.cut_power()
            board.clock.ms += 30_000
            outcomes = await board.unlock()
            assert {outcome.code for outcome in outcomes} == {0}


async def test_a_key_that_can_not_be_stored_leaves_nothing() -> None:
    board = await start_board()
    names = board.disk.list_names()
    board.disk.is_full = True
    assert await error_code(board.new("other")) == ErrorCode.NEW_FAILED
    assert [key.id for key in board.keyring.status()] == ["baker"]
    board.disk.is_full = False
    assert board.disk.list_names() == names
    await board.new("other")


async def test_deterministic_keys_come_from_the_seed_and_an_index_that_is_never_reused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    indexes: list[int] = []

    def watch(seed: bytearray, key_type: KeyType, index: int) -> bytearray:
        _, record = decode_record(board.disk.content("keystore.1"))
        assert record.next_index == index + 1, "not used up before it is used"
        indexes.append(index)
        return derive_secret(seed, key_type, index)

    monkeypatch.setattr("gadget.keychain.changes.derive_secret", watch)
    board = Board()
    await init(board, deterministic=True)
    await board.new("baker")
    await board.delete("baker")
    await board.new("baker", KeyType.TZ4)
    board.disk.fail_at(20, Fault.ERROR)
    await error_code(board.new("other"))
    board.restart()
    await board.new("other")
    assert indexes == sorted(set(indexes))
    assert indexes[0] == 0
    assert len(indexes) >= 3


async def test_a_damaged_seed_makes_no_key_and_says_so() -> None:
    board = Board()
    await init(board, deterministic=True)
    record = board.keyring._keystore.record
    assert record is not None
    board.keyring._keystore.store(replace(record, sealed_seed=bytes(60)))
    assert await error_code(board.new("baker")) == ErrorCode.KEYSTORE_UNUSABLE


async def test_a_broken_source_of_randomness_makes_no_key() -> None:
    board = await start_board()
    board.keyring._changes._random_bytes = bytes
    assert await error_code(board.new("other")) == ErrorCode.NEW_FAILED


async def test_the_seed_alone_brings_a_key_back(monkeypatch: pytest.MonkeyPatch) -> None:
    seeds: list[bytes] = []

    def watch(seed: bytearray, key_type: KeyType, index: int) -> bytearray:
        seeds.append(bytes(seed))
        return derive_secret(seed, key_type, index)

    monkeypatch.setattr("gadget.keychain.changes.derive_secret", watch)
    board = await start_board(deterministic=True, key_type=KeyType.TZ4)
    secret = derive_secret(seeds[0], KeyType.TZ4, 0)
    assert open_signer(KeyType.TZ4, secret).public_key.address == board.status().pkh
