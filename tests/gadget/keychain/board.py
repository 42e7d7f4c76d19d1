"""A keyring on a fake disk with a cheap key derivation, for the tests of the keychain."""

from collections.abc import Callable, Coroutine
from random import Random
from typing import Final

import pytest

from broker.messages import ErrorCode, KeyOutcome, KeyStatus
from gadget.keychain.envelope import KdfParameters
from gadget.keychain.errors import KeychainError
from gadget.keychain.keyring import Keyring
from gadget.keychain.secret import Secret
from tests import payloads
from tests.fakes.disk import FakeDisk
from tezos.keys import MAINNET, KeyType, PublicKey
from tezos.verify import verify

__all__ = [
    "CHEAP_KDF",
    "PASSPHRASE",
    "Board",
    "FakeBootClock",
    "StandInSigner",
    "attest",
    "error_code",
    "init",
    "passphrase",
    "start_board",
]

CHEAP_KDF: Final = KdfParameters(iterations=1, memory_kib=8, lanes=1)
PASSPHRASE: Final = b"correct horse"


def passphrase(text: bytes = PASSPHRASE) -> Secret:
    return Secret(text)


def attest(level: int, round_: int = 0, variant: int = 0, *, key_type: str = "tz1") -> bytes:
    """Payloads that differ in `variant` only must never both be signed."""
    return payloads.attestation(key_type, level, round_, payload_hash=bytes([variant]) * 32)


class FakeBootClock:
    def __init__(self) -> None:
        self.boot = bytes(15) + b"\x01"
        self.ms = 60_000

    def reboot(self) -> None:
        self.boot = (int.from_bytes(self.boot, "big") + 1).to_bytes(16, "big")
        self.ms = 5_000

    def boot_id(self) -> bytes:
        return self.boot

    def now_ms(self) -> int:
        return self.ms


class Board:
    """A disk, a clock, and the keyring that a process has opened on them."""

    def __init__(self, *, journals_data: bool = False, seed: int = 0) -> None:
        self.disk = FakeDisk(journals_data=journals_data, random=Random(seed))  # noqa: S311
        self.clock = FakeBootClock()
        self.keyring: Keyring
        self.load()

    def load(self) -> None:
        self.keyring = Keyring(self.disk, kdf=CHEAP_KDF, clock=self.clock)
        self.keyring.load()

    def restart(self) -> None:
        """The process is killed and starts again; all keys are locked."""
        self.disk = self.disk.restart_process()
        self.load()

    def cut_power(self) -> None:
        self.disk = self.disk.cut_power()
        self.clock.reboot()
        self.load()

    async def unlock(self, *ids: str) -> tuple[KeyOutcome, ...]:
        with passphrase() as secret:
            return await self.keyring.unlock(secret, ids)

    async def new(
        self,
        key_id: str,
        key_type: KeyType = KeyType.TZ1,
        chain_id: bytes | None = MAINNET,
        *,
        exportable: bool = False,
    ) -> KeyStatus:
        with passphrase() as secret:
            return await self.keyring.new(secret, key_id, key_type, chain_id, exportable=exportable)

    async def delete(self, key_id: str) -> None:
        with passphrase() as secret:
            await self.keyring.delete(secret, key_id)

    async def sign(self, payload: bytes, key_id: str = "baker") -> bytes:
        return await self.keyring.sign(self.status(key_id).pkh, payload)

    def status(self, key_id: str = "baker") -> KeyStatus:
        (status,) = (key for key in self.keyring.status() if key.id == key_id)
        return status

    def verifies(self, signature: bytes, payload: bytes, key_id: str = "baker") -> bool:
        public_key = PublicKey.from_base58(self.status(key_id).public_key)
        return verify(public_key, signature, payload)


async def init(board: Board, *, deterministic: bool = False) -> None:
    with passphrase() as secret:
        await board.keyring.init(secret, deterministic)


async def error_code(call: Coroutine[object, object, object]) -> ErrorCode:
    """Returns the code that the call fails with."""
    with pytest.raises(KeychainError) as caught:
        await call
    return caught.value.code


async def start_board(
    *, journals_data: bool = False, seed: int = 0, chain_id: bytes | None = MAINNET,
    deterministic: bool = False, key_type: KeyType = KeyType.TZ1,
) -> Board:  # fmt: skip
    """Returns a board with one unlocked key, "baker"."""
    board = Board(journals_data=journals_data, seed=seed)
    await init(board, deterministic=deterministic)
    await board.new("baker", key_type, chain_id)
    await board.unlock()
    return board


class StandInSigner:
    """In the place of the real one of "baker": calls `before`, then signs."""

    def __init__(self, board: Board, before: Callable[[], object]) -> None:
        (self._key,) = board.keyring._keys.values()
        assert self._key._unlocked is not None
        self._before = before
        self._unlocked = self._key._unlocked
        self.public_key = self._unlocked.signer.public_key
        self._key._unlocked = self._unlocked._replace(signer=self)

    def sign(self, payload: bytes) -> bytes:
        self._before()
        return self._unlocked.signer.sign(payload)

    def prove_possession(self, public_key: bytes | None) -> bytes:
        return self._unlocked.signer.prove_possession(public_key)

    def leave(self) -> None:
        self._key._unlocked = self._unlocked
