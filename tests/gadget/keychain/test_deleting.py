"""delete: the key goes, its marks stay."""

from collections.abc import Callable
from random import Random

import pytest
import trio

from broker.messages import ErrorCode
from gadget.keychain.errors import (
    DeleteRefused,
    KeychainError,
    KeyExists,
    KeyNotFound,
    NewRefused,
    NotStored,
    StaleWatermark,
)
from gadget.keychain.keystore_record import TOMBSTONES_LIMIT
from tests.fakes.disk import Fault
from tests.gadget.keychain.board import (
    attest,
    error_code,
    start_board,
)
from tezos.keys import MAINNET


async def test_a_deleted_key_is_gone_for_good_and_leaves_a_tombstone() -> None:
    board = await start_board()
    await board.sign(attest(10, 3))
    address = board.status().pkh
    await board.delete("baker")
    assert board.keyring.status() == ()
    with pytest.raises(KeyNotFound):
        await board.keyring.sign(address, attest(11))
    board.cut_power()
    assert board.keyring.status() == ()
    assert not [name for name in board.disk.list_names() if name.startswith("marks/")]
    record = board.keyring._keystore.record
    assert record is not None
    tombstone = record.tombstone_of(address)
    assert tombstone is not None
    assert tombstone.marks is not None
    mark = tombstone.marks.on_chain(MAINNET).attestation
    assert mark is not None
    assert (mark.level, mark.round) == (10, 3)


async def test_a_locked_key_leaves_the_same_tombstone() -> None:
    board = await start_board()
    await board.sign(attest(10))
    board.restart()
    await board.delete("baker")
    record = board.keyring._keystore.record
    assert record is not None
    (tombstone,) = record.tombstones
    assert tombstone.marks is not None
    assert tombstone.marks.on_chain(MAINNET).attestation is not None


def _same_secrets(seed: int) -> Callable[[int], bytes]:
    source = Random(seed)  # noqa: S311
    return lambda size: b"\x01" * 32 if size == 32 else source.randbytes(size)


async def test_a_key_that_is_made_again_starts_at_the_marks_of_its_tombstone() -> None:
    board = await start_board()
    board.keyring._changes._random_bytes = _same_secrets(1)
    first = await board.new("first")
    await board.unlock()
    signature = await board.sign(attest(10), "first")
    await board.delete("first")
    second = await board.new("second")
    assert second.pkh == first.pkh
    await board.unlock()
    for payload in (attest(10), attest(10, variant=1), attest(9)):
        with pytest.raises(StaleWatermark):
            await board.sign(payload, "second")
    assert await board.sign(attest(11), "second") != signature
    record = board.keyring._keystore.record
    assert record is not None
    assert record.tombstones == ()


async def test_an_address_whose_marks_were_lost_never_comes_back() -> None:
    board = await start_board()
    board.keyring._changes._random_bytes = _same_secrets(1)
    first = await board.new("first")
    for slot in (0, 1):
        board.disk.damage(f"marks/{first.pkh}.{slot}", None)
    await board.delete("first")
    with pytest.raises(NewRefused, match="lost"):
        await board.new("first")


async def test_two_keys_never_have_one_address() -> None:
    board = await start_board()
    board.keyring._changes._random_bytes = _same_secrets(1)
    first = await board.new("first")
    blocks = [board.disk.content(f"marks/{first.pkh}.{slot}") for slot in (0, 1)]
    with pytest.raises(KeyExists):
        await board.new("second")
    assert blocks == [board.disk.content(f"marks/{first.pkh}.{slot}") for slot in (0, 1)]


async def test_a_request_that_waited_behind_a_deletion_finds_no_key() -> None:
    board = await start_board()
    (key,) = board.keyring._keys.values()
    address = board.status().pkh
    codes: list[ErrorCode] = []

    async def sign() -> None:
        codes.append(await error_code(board.keyring.sign(address, attest(10))))

    async with trio.open_nursery() as nursery, key._lock:
        nursery.start_soon(sign)
        await trio.testing.wait_all_tasks_blocked()
        key._forget()
        key.mark_deleted()
    assert codes == [ErrorCode.KEY_NOT_FOUND]


async def test_a_key_that_is_not_there_is_not_deleted() -> None:
    board = await start_board()
    assert await error_code(board.delete("nobody")) == ErrorCode.DELETE_NO_KEY


async def test_tombstones_are_never_dropped_for_room(monkeypatch: pytest.MonkeyPatch) -> None:
    assert TOMBSTONES_LIMIT == 256
    monkeypatch.setattr("gadget.keychain.keyring.TOMBSTONES_LIMIT", 1)
    board = await start_board()
    await board.new("other")
    await board.delete("baker")
    with pytest.raises(DeleteRefused) as caught:
        await board.delete("other")
    assert caught.value.code == ErrorCode.DELETE_FAILED
    assert board.status("other").lock_state == "locked"


async def test_a_key_whose_deletion_failed_is_locked_and_its_marks_are_not_lost() -> None:
    for call in range(60):
        for seed in range(3):
            board = await start_board(seed=seed)
            await board.sign(attest(10))
            board.disk.fail_at(call, Fault.ERROR)
            try:
                await board.delete("baker")
            except NotStored:
                pass
            except KeychainError as error:
                raise AssertionError(error) from error
            else:
                continue
            board.disk.fail_never()
            if board.status().lock_state == "unlocked":
                continue  # the try could not be counted: nothing had begun
            # Half-made or not: after the next unlock the disk says what memory says.
            await board.unlock()
            await board.sign(attest(11))
            board.cut_power()
            await board.unlock()
            assert board.status().marks is not None
            with pytest.raises(StaleWatermark):
                await board.sign(attest(11, variant=1))
