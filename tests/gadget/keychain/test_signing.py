"""One key's signatures: what is signed, what is refused, and what is on disk at that moment."""

import pytest
import trio

from broker.messages import ErrorCode, MarkStatus
from gadget.keychain.errors import (
    KeychainError,
    KeyLocked,
    KeyNotFound,
    LevelJump,
    PayloadRefused,
    StaleWatermark,
    WrongChain,
)
from tests import payloads
from tests.gadget.keychain.board import StandInSigner, attest, start_board
from tezos.keys import MAINNET, KeyType

_OTHER_CHAIN = b"\x01\x02\x03\x04"
_WRITE = ["overwrite", "start_sync", "wait"] * 2


@pytest.mark.parametrize("key_type", list(KeyType))
async def test_every_type_of_key_signs_every_kind(key_type: KeyType) -> None:
    board = await start_board(key_type=key_type)
    for payload in (
        payloads.preattestation(key_type, 10, 1),
        payloads.attestation(key_type, 10, 1),
        payloads.block(10, 1),
    ):
        assert board.verifies(await board.sign(payload), payload)
    marks = board.status().marks
    assert marks is not None
    assert {marks.block, marks.preattestation, marks.attestation} == {MarkStatus(level=10, round=1)}


async def test_the_signature_leaves_after_the_mark_is_durable() -> None:
    board = await start_board()
    board.disk.calls.clear()
    await board.sign(attest(10))
    assert board.disk.calls == _WRITE


async def test_the_signature_is_computed_while_the_kernel_writes() -> None:
    board = await start_board()
    seen: list[list[str]] = []
    StandInSigner(board, lambda: seen.append(board.disk.calls.copy()))
    board.disk.calls.clear()
    await board.sign(attest(10))
    assert seen == [["overwrite", "start_sync"]]


async def test_same_payload_gets_the_same_signature_without_a_write() -> None:
    board = await start_board()
    signature = await board.sign(attest(10))
    board.disk.calls.clear()
    assert await board.sign(attest(10)) == signature
    assert board.disk.calls == []


async def test_same_payload_gets_the_same_signature_after_a_power_cut() -> None:
    for key_type in KeyType:
        board = await start_board(key_type=key_type)
        payload = attest(10, key_type=key_type)
        signature = await board.sign(payload)
        board.cut_power()
        await board.unlock()
        assert await board.sign(payload) == signature


async def test_a_lost_answer_does_not_become_a_missed_attestation() -> None:
    """Seen elsewhere (docs/faults.md): the retry of a request whose answer was lost."""
    board = await start_board()
    with trio.CancelScope() as scope:
        scope.cancel()
        await board.sign(attest(10))
    assert scope.cancelled_caught or board.status().marks is not None
    signature = await board.sign(attest(10))
    assert board.verifies(signature, attest(10))


async def test_other_payload_in_the_same_place_is_refused() -> None:
    board = await start_board()
    await board.sign(attest(10))
    with pytest.raises(StaleWatermark) as caught:
        await board.sign(attest(10, variant=1))
    assert caught.value.code == ErrorCode.STALE_WATERMARK


async def test_what_is_no_payload_is_refused() -> None:
    board = await start_board(key_type=KeyType.TZ4)
    for payload in (
        b"",
        b"\x03" + attest(10, key_type="tz4")[1:],
        attest(10, key_type="tz4") + b"\0",
        attest(10, key_type="tz1"),
        payloads.vote(0x13, 0x28, 10, 0),
        payloads.vote(0x12, 0x29, 10, 0),
    ):
        with pytest.raises(PayloadRefused) as caught:
            await board.sign(payload)
        assert caught.value.code == ErrorCode.BAD_PAYLOAD
    marks = board.status().marks
    assert marks is not None
    assert marks.attestation is None


async def test_another_chain_is_refused() -> None:
    board = await start_board(chain_id=MAINNET)
    with pytest.raises(WrongChain) as caught:
        await board.sign(payloads.attestation("tz1", 10, 0, chain_id=_OTHER_CHAIN))
    assert caught.value.code == ErrorCode.WRONG_CHAIN


async def test_a_key_for_the_first_chain_stays_on_it_over_a_restart() -> None:
    board = await start_board(chain_id=None)
    assert board.status().chain_id is None
    await board.sign(attest(10))
    assert board.status().chain_id == "NetXdQprcVkpaWU"
    board.restart()
    assert board.status().chain_id is None  # sealed
    await board.unlock()
    assert board.status().chain_id == "NetXdQprcVkpaWU"
    with pytest.raises(WrongChain):
        await board.sign(payloads.attestation("tz1", 11, 0, chain_id=_OTHER_CHAIN))


async def test_a_refused_payload_binds_no_chain() -> None:
    board = await start_board(chain_id=None)
    with pytest.raises(PayloadRefused):
        await board.sign(attest(10) + b"\0")
    assert board.status().chain_id is None


async def test_level_jump_is_refused() -> None:
    board = await start_board()
    await board.sign(attest(10))
    with pytest.raises(LevelJump) as caught:
        await board.sign(attest(200_011))
    assert caught.value.code == ErrorCode.LEVEL_JUMP
    await board.sign(attest(200_010))


async def test_a_locked_key_signs_nothing() -> None:
    board = await start_board()
    board.restart()
    with pytest.raises(KeyLocked) as caught:
        await board.sign(attest(10))
    assert caught.value.code == ErrorCode.KEY_LOCKED


async def test_an_unknown_key_is_not_found() -> None:
    board = await start_board()
    with pytest.raises(KeyNotFound) as caught:
        await board.keyring.sign("tz1VSUr8wwNhLAzempoch5d6hLRiTh8Cjcjb", attest(10))
    assert caught.value.code == ErrorCode.KEY_NOT_FOUND


# Many at once.


async def test_of_many_payloads_for_one_place_exactly_one_is_signed() -> None:
    """Seen elsewhere (docs/faults.md): check and store are one step."""
    board = await start_board()
    signed: list[int] = []
    refused: list[ErrorCode] = []

    async def sign(variant: int) -> None:
        try:
            await board.sign(attest(10, variant=variant))
            signed.append(variant)
        except KeychainError as error:
            refused.append(error.code)

    async with trio.open_nursery() as nursery:
        for variant in range(64):
            nursery.start_soon(sign, variant)
    assert len(signed) == 1
    assert refused == [ErrorCode.STALE_WATERMARK] * 63


async def test_many_requests_for_one_payload_get_one_signature_and_one_write() -> None:
    board = await start_board()
    board.disk.calls.clear()
    signatures: list[bytes] = []

    async def sign() -> None:
        signatures.append(await board.sign(attest(10)))

    async with trio.open_nursery() as nursery:
        for _ in range(64):
            nursery.start_soon(sign)
    assert len(signatures) == 64
    assert len(set(signatures)) == 1
    assert board.disk.calls == _WRITE


async def test_keys_do_not_wait_for_each_other() -> None:
    board = await start_board()
    await board.new("other")
    await board.unlock()
    board.disk.calls.clear()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(board.sign, attest(10), "baker")
        nursery.start_soon(board.sign, attest(10), "other")
    assert board.disk.calls[:4] == ["overwrite", "start_sync"] * 2
