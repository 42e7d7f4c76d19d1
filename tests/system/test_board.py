"""Registrar, gadget and host together, without a kernel: what a user sees of the three."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
import trio

from broker.contract import INTERFACE_MANAGE, INTERFACE_SIGN, PAYLOAD_LIMIT_BYTES
from broker.frame import Frame, FrameReader, FrameType, encode_frame
from broker.messages import ErrorCode
from host.client import Client
from host.errors import Refused
from tests.payloads import attestation, block
from tests.system.board import SystemBoard, open_host, open_host_stream, open_system_board
from tezos.keys import PublicKey
from tezos.verify import verify

PASSPHRASE = b"correct horse"
LEVEL = 1_000


@pytest.fixture
def board(tmp_path: Path) -> Iterator[SystemBoard]:
    """A board that a host has enabled and that says ready."""
    with open_system_board(tmp_path) as board:
        board.start_gadget()
        board.enable()
        yield board


async def make_key(board: SystemBoard, key_type: str = "tz4") -> str:
    """Returns the address of an unlocked key."""
    async with open_host(board, INTERFACE_MANAGE) as client:
        await client.init(PASSPHRASE, deterministic=False)
        key = await client.new(PASSPHRASE, "consensus", key_type, "NetXdQprcVkpaWU")
        assert key.lock_state == "locked"
        (outcome,) = await client.unlock(PASSPHRASE)
        assert outcome.code == 0
    return key.pkh


async def sign(board: SystemBoard, address: str, payload: bytes) -> bytes:
    async with open_host(board, INTERFACE_SIGN) as client:
        return await client.sign(address, payload)


async def expect_refusal(code: ErrorCode, board: SystemBoard, address: str, payload: bytes) -> None:
    with pytest.raises(Refused) as refused:
        await sign(board, address, payload)
    assert refused.value.code == code


@pytest.mark.parametrize("key_type", ["tz1", "tz4"])
async def test_a_new_key_signs_and_the_signature_verifies(
    board: SystemBoard, key_type: str
) -> None:
    address = await make_key(board, key_type)
    payload = attestation(key_type, LEVEL, 0)
    signature = await sign(board, address, payload)
    async with open_host(board, INTERFACE_SIGN) as client:
        (status,) = await client.status()
    assert verify(PublicKey.from_base58(status.public_key), signature, payload)
    assert await sign(board, address, payload) == signature
    await expect_refusal(
        ErrorCode.STALE_WATERMARK,
        board,
        address,
        attestation(key_type, LEVEL, 0, payload_hash=b"\x01" * 32),
    )


async def test_keys_stay_unlocked_and_answers_the_same_over_twenty_losses_of_usb(
    board: SystemBoard,
) -> None:
    address = await make_key(board)
    for number in range(20):
        payload = block(LEVEL + number, 0)
        signature = await sign(board, address, payload)
        board.disable()
        assert not board.is_ready()
        board.enable()
        assert await sign(board, address, payload) == signature


async def test_a_killed_gadget_comes_back_with_its_marks_and_without_its_keys(
    board: SystemBoard,
) -> None:
    address = await make_key(board)
    payload = attestation("tz4", LEVEL, 0)
    signature = await sign(board, address, payload)
    assert board.end_gadget(signal.SIGKILL) == -signal.SIGKILL
    assert board.ready_socket.exists()  # nobody could remove it
    assert not board.is_ready()
    board.start_gadget()
    board.enable()
    await expect_refusal(ErrorCode.KEY_LOCKED, board, address, payload)
    async with open_host(board, INTERFACE_MANAGE) as client:
        await client.unlock(PASSPHRASE)
    assert await sign(board, address, payload) == signature
    await expect_refusal(
        ErrorCode.STALE_WATERMARK, board, address, attestation("tz4", LEVEL - 1, 9)
    )


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_told_to_stop_it_ends_cleanly_within_two_seconds(
    board: SystemBoard, number: signal.Signals
) -> None:
    with trio.fail_after(2):
        assert await trio.to_thread.run_sync(board.end_gadget, number) == 0
    assert not board.ready_socket.exists()
    assert "Traceback" not in board.log()


async def test_wrong_passphrases_are_refused_and_then_throttled(board: SystemBoard) -> None:
    await make_key(board)
    async with open_host(board, INTERFACE_MANAGE) as client:
        codes = [await refusal_code(client) for _ in range(6)]
    assert codes == [ErrorCode.UNLOCK_BAD_PASSPHRASE] * 5 + [ErrorCode.UNLOCK_THROTTLED]


async def refusal_code(client: Client) -> int:
    with pytest.raises(Refused) as refused:
        await client.unlock(b"wrong")
    return refused.value.code


async def test_each_interface_keeps_to_its_requests(board: SystemBoard) -> None:
    async with open_host(board, INTERFACE_SIGN) as client:
        with pytest.raises(Refused) as wrong:
            await client.init(PASSPHRASE, deterministic=False)
    assert wrong.value.code == ErrorCode.WRONG_INTERFACE
    async with open_host(board, INTERFACE_MANAGE) as client:
        with pytest.raises(Refused) as signing:
            await client.sign("tz4", attestation("tz4", 1, 0))
    assert signing.value.code == ErrorCode.SIGN_ON_MANAGEMENT


HOSTILE = {
    "an unknown operation": b"\x81\xa5hello\x80",
    "an unknown field": b"\x81\xa4ping\x82\xa5token\xc4\x00\xa1x\x01",
    "a missing field": b"\x81\xa4ping\x80",
    "a wrong type": b"\x81\xa4ping\x81\xa5token\x01",
    "nothing": b"",
    "two operations": b"\x82\xa4ping\x81\xa5token\xc4\x00\xa6status\x80",
    "a map of four billion entries": b"\xdf\xff\xff\xff\xff",
    "arrays within arrays": b"\x91" * 5_000 + b"\xc0",
    "a string of four gigabytes": b"\x81\xa4sign\x81\xa3pkh\xdb\xff\xff\xff\xff",
    "bytes after the message": b"\x81\xa6status\x80\x00",
}


@pytest.mark.parametrize("payload", HOSTILE.values(), ids=HOSTILE.keys())
async def test_a_malformed_message_gets_an_error_and_harms_nothing(
    board: SystemBoard, payload: bytes
) -> None:
    request = encode_frame(Frame(FrameType.REQUEST, os.urandom(16), payload))
    async with open_host_stream(board) as stream:
        await stream.send(request)
        answer = await receive_response(stream.receive)
    assert b"error" in answer[:8]
    async with open_host(board, INTERFACE_SIGN) as client:
        await client.ping()


async def test_the_start_id_changes_with_each_start_and_with_nothing_else(
    board: SystemBoard,
) -> None:
    async with open_host(board, INTERFACE_SIGN) as client:
        first = await client.ping()
    async with open_host(board, INTERFACE_MANAGE) as client:
        assert await client.ping() == first
    board.disable()
    board.enable()
    async with open_host(board, INTERFACE_SIGN) as client:
        assert await client.ping() == first
    board.end_gadget()
    board.start_gadget()
    board.enable()
    async with open_host(board, INTERFACE_SIGN) as client:
        assert await client.ping() != first


async def receive_response(receive: "object") -> bytes:
    reader = FrameReader()
    with trio.fail_after(5):
        while True:
            reader.feed(await receive(), trio.current_time())  # type: ignore[operator]
            while (frame := reader.next_frame(trio.current_time())) is not None:
                if frame.type is FrameType.RESPONSE:
                    return frame.payload


@pytest.mark.parametrize(
    "junk",
    [b"\x56" * 1000, os.urandom(5000), b"\x56\x01" + bytes(20), b"\x00" * 100_000],
    ids=["magics", "random", "half a header", "zeros"],
)
async def test_junk_on_the_wire_does_not_cost_the_next_request(
    board: SystemBoard, junk: bytes
) -> None:
    async with open_host_stream(board) as stream:
        await stream.send(junk)
    async with open_host(board, INTERFACE_SIGN) as client:
        assert await client.status() == ()


async def test_a_frame_over_the_limit_is_skipped(board: SystemBoard) -> None:
    frame = encode_frame(Frame(FrameType.REQUEST, bytes(16), b""))
    size = (PAYLOAD_LIMIT_BYTES + 1).to_bytes(4, "little")
    head = frame[:18] + size
    parity = 0
    for byte in head:
        parity ^= byte
    async with open_host_stream(board) as stream:
        await stream.send(head + bytes([parity]))
    async with open_host(board, INTERFACE_SIGN) as client:
        await client.ping()


async def test_a_damaged_keystore_is_told_and_never_taken_for_a_new_board(tmp_path: Path) -> None:
    with open_system_board(tmp_path) as board:
        board.start_gadget()
        board.enable()
        await make_key(board)
        board.end_gadget()
        for name in ("keystore.0", "keystore.1"):
            (board.data / name).write_bytes(b"\x00" * 100)
        board.start_gadget()
        board.enable()
        async with open_host(board, INTERFACE_MANAGE) as client:
            with pytest.raises(Refused) as unlocking:
                await client.unlock(PASSPHRASE)
            with pytest.raises(Refused) as making:
                await client.init(PASSPHRASE, deterministic=False)
    assert unlocking.value.code == ErrorCode.KEYSTORE_UNUSABLE
    assert making.value.code == ErrorCode.KEYSTORE_UNUSABLE


async def test_one_damaged_copy_of_the_keystore_costs_nothing(tmp_path: Path) -> None:
    with open_system_board(tmp_path) as board:
        board.start_gadget()
        board.enable()
        address = await make_key(board)
        board.end_gadget()
        (board.data / "keystore.1").unlink()
        board.start_gadget()
        board.enable()
        async with open_host(board, INTERFACE_MANAGE) as client:
            await client.unlock(PASSPHRASE)
        await sign(board, address, attestation("tz4", LEVEL, 0))
        assert (board.data / "keystore.1").exists()


async def test_no_secret_stands_in_the_log(board: SystemBoard) -> None:
    address = await make_key(board)
    payload = attestation("tz4", LEVEL, 0)
    await sign(board, address, payload)
    board.end_gadget()
    log = board.log()
    assert f"key={address} kind=attestation level={LEVEL} round=0" in log
    assert PASSPHRASE.decode() not in log
    assert payload.hex() not in log
