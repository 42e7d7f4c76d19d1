"""What lies on the disk, and the keyring on a real folder with the real parameters."""

from dataclasses import replace
from pathlib import Path

import pytest

from broker.messages import ErrorCode
from gadget.keychain.errors import (
    BadPassphrase,
    StaleWatermark,
)
from gadget.keychain.keyring import Keyring
from tests import payloads
from tests.gadget.keychain.board import (
    CHEAP_KDF,
    Board,
    init,
    passphrase,
    start_board,
)
from tezos.derivation import derive_secret
from tezos.keys import MAINNET, KeyType


async def test_no_secret_lies_open_on_the_disk() -> None:
    drawn: list[bytes] = []
    board = Board()
    random_bytes = board.keyring._random_bytes

    def watch(size: int) -> bytes:
        data = random_bytes(size)
        if size == 32:
            drawn.append(data)
        return data

    board.keyring._changes._random_bytes = watch
    await init(board, deterministic=True)
    await board.new("baker")
    assert len(drawn) == 2  # the seed and the DEK
    secrets = [*drawn, bytes(derive_secret(drawn[0], KeyType.TZ1, 0)), b"correct horse"]
    for name in board.disk.list_names():
        for secret in secrets:
            assert secret not in board.disk.content(name)


async def test_no_secret_is_in_an_error_or_a_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(0)
    board = await start_board()
    with passphrase(b"hunter2") as wrong, pytest.raises(BadPassphrase) as caught:
        await board.keyring.unlock(wrong, ())
    await board.delete("baker")
    for text in (str(caught.value), repr(caught.value), caplog.text):
        assert "hunter2" not in text
        assert "correct horse" not in text


async def test_pieces_of_two_keys_can_not_be_exchanged() -> None:
    board = await start_board()
    await board.new("other")
    record = board.keyring._keystore.record
    assert record is not None
    first, second = record.keys
    board.keyring._keystore.store(
        replace(
            record,
            keys=(
                replace(first, sealed_secret=second.sealed_secret),
                replace(second, wrapped_dek=first.wrapped_dek),
            ),
        )
    )
    board.restart()
    outcomes = await board.unlock()
    assert {outcome.code for outcome in outcomes} == {ErrorCode.KEYSTORE_UNUSABLE}
    assert {key.lock_state for key in board.keyring.status()} == {"unusable"}


# The real thing.


async def test_the_real_folder_with_the_real_parameters(tmp_path: Path) -> None:
    payload = payloads.attestation("tz4", 10, 0)
    async with Keyring.open(tmp_path / "data") as keyring:
        with passphrase() as secret:
            await keyring.init(secret, deterministic=True)
            status = await keyring.new(secret, "baker", KeyType.TZ4, MAINNET)
            await keyring.unlock(secret, ())
        signature = await keyring.sign(status.pkh, payload)
    async with Keyring.open(tmp_path / "data") as keyring:
        assert keyring.is_deterministic
        with passphrase() as secret:
            (outcome,) = await keyring.unlock(secret, ())
        assert outcome.code == 0
        assert await keyring.sign(status.pkh, payload) == signature
        with pytest.raises(StaleWatermark):
            await keyring.sign(status.pkh, payloads.attestation("tz4", 9, 0))


async def test_the_way_in_knows_no_cheap_parameters(tmp_path: Path) -> None:
    async with Keyring.open(tmp_path / "data") as keyring:
        assert keyring._kdf != CHEAP_KDF
    with pytest.raises(TypeError):
        Keyring.open(tmp_path / "data", kdf=CHEAP_KDF)  # type: ignore[call-arg]


async def test_two_processes_never_sign_with_one_folder(tmp_path: Path) -> None:
    async with Keyring.open(tmp_path / "data"):
        with pytest.raises(OSError, match="another process"):
            async with Keyring.open(tmp_path / "data"):
                pass
