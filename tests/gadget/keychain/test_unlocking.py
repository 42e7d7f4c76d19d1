"""unlock and lock: one outcome for each key, and none for a wrong passphrase."""

import threading
from collections.abc import Coroutine
from typing import Any

import pytest
import trio

from broker.messages import ErrorCode
from gadget.keychain.envelope import KdfParameters, derive_kek
from gadget.keychain.errors import (
    StaleWatermark,
)
from gadget.keychain.secret import Secret
from tests.gadget.keychain.board import (
    attest,
    error_code,
    passphrase,
    start_board,
)
from tezos.keys import KeyType


async def test_unlock_without_ids_unlocks_all() -> None:
    board = await start_board()
    await board.new("other")
    outcomes = await board.unlock()
    assert [(outcome.id, outcome.code) for outcome in outcomes] == [("baker", 0), ("other", 0)]
    assert {key.lock_state for key in board.keyring.status()} == {"unlocked"}


async def test_unlock_names_what_became_of_each_key() -> None:
    board = await start_board()
    await board.new("other")
    outcomes = await board.unlock("nobody", "other", "other")
    assert [(outcome.id, outcome.code) for outcome in outcomes] == [
        ("nobody", ErrorCode.KEY_NOT_FOUND),
        ("other", 0),
    ]


async def test_unlocking_an_unlocked_key_does_no_harm_and_reads_nothing() -> None:
    board = await start_board()
    await board.sign(attest(10))
    address = board.status().pkh
    for slot in (0, 1):
        board.disk.damage(f"marks/{address}.{slot}", None)
    (outcome,) = await board.unlock()
    assert (outcome.code, outcome.message) == (0, "")
    with pytest.raises(StaleWatermark):
        await board.sign(attest(10, variant=1))


async def test_a_wrong_passphrase_is_refused_as_a_whole() -> None:
    board = await start_board()
    board.restart()
    with passphrase(b"wrong") as wrong:
        calls: list[tuple[Coroutine[Any, Any, object], ErrorCode]] = [
            (board.keyring.unlock(wrong, ()), ErrorCode.UNLOCK_BAD_PASSPHRASE),
            (board.keyring.new(wrong, "x", KeyType.TZ1, None), ErrorCode.NEW_BAD_PASSPHRASE),
            (board.keyring.delete(wrong, "baker"), ErrorCode.DELETE_BAD_PASSPHRASE),
        ]
        for call, code in calls:
            assert await error_code(call) == code
    assert [(key.id, key.lock_state) for key in board.keyring.status()] == [("baker", "locked")]


async def test_lock_names_what_became_of_each_key_and_drops_the_secret() -> None:
    board = await start_board()
    outcomes = await board.keyring.lock(("baker", "nobody"))
    assert [(outcome.id, outcome.code) for outcome in outcomes] == [
        ("baker", 0),
        ("nobody", ErrorCode.KEY_NOT_FOUND),
    ]
    assert board.status().lock_state == "locked"
    assert board.status().marks is None
    (key,) = board.keyring._keys.values()
    assert key._unlocked is None


async def test_locking_closes_the_slots() -> None:
    board = await start_board()
    before = board.disk.open_handles
    await board.keyring.lock(())
    assert board.disk.open_handles == before - 2
    for _ in range(3):
        await board.unlock()
        await board.keyring.lock(())
    assert board.disk.open_handles == before - 2


async def test_damage_to_one_key_leaves_the_others_alone() -> None:
    board = await start_board()
    await board.new("other")
    address = board.status().pkh
    board.restart()
    for slot in (0, 1):
        board.disk.damage(f"marks/{address}.{slot}", None)
    outcomes = {outcome.id: outcome.code for outcome in await board.unlock()}
    assert outcomes == {"baker": ErrorCode.WATERMARK_UNUSABLE, "other": 0}
    await board.sign(attest(10), "other")


async def test_marks_that_come_back_make_the_key_usable_again() -> None:
    board = await start_board()
    address = board.status().pkh
    kept = [board.disk.content(f"marks/{address}.{slot}") for slot in (0, 1)]
    board.restart()
    for slot in (0, 1):
        board.disk.damage(f"marks/{address}.{slot}", None)
    await board.unlock()
    for slot in (0, 1):
        board.disk.damage(f"marks/{address}.{slot}", kept[slot])
    (outcome,) = await board.unlock()
    assert outcome.code == 0
    assert board.status().lock_state == "unlocked"


async def test_signing_goes_on_while_a_passphrase_is_checked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    signed = threading.Event()

    def derive_after_a_signature(secret: Secret, salt: bytes, kdf: KdfParameters) -> Secret:
        assert signed.wait(10)
        return derive_kek(secret, salt, kdf)

    board = await start_board()
    monkeypatch.setattr("gadget.keychain.admission.derive_kek", derive_after_a_signature)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(board.unlock)
        await trio.testing.wait_all_tasks_blocked()
        await board.sign(attest(10))
        signed.set()
