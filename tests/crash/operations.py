"""What the workload does to the store: one table, one line for each operation.

Each operation says what it is about to do, does it, and says how it ended, through marks on the
disk (`Marker`). What the marks mean is `answered`'s.
"""

import json
import mmap
import os
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Final

from gadget.keychain.errors import KeychainError
from gadget.keychain.keyring import Keyring
from gadget.keychain.secret import Secret
from tests import payloads
from tests.crash.recording import DISK_BYTES, FILE_SYSTEM_BYTES
from tezos.keys import MAINNET, KeyType

__all__ = ["CHANGES", "Marker", "World", "build_payload", "init", "sign", "unlock"]

_SECTOR_BYTES: Final = 512
_KEYS: Final = (2, 5)  # at least, at most
_KINDS: Final = ("block", "preattestation", "attestation")
_FIRST_LEVEL: Final = 1000


class Marker:
    """Writes marks behind the file system, past the page cache."""

    def __init__(self, disk: Path) -> None:
        self._fd = os.open(disk, os.O_WRONLY | os.O_DIRECT | os.O_CLOEXEC)
        self._buffer = mmap.mmap(-1, DISK_BYTES - FILE_SYSTEM_BYTES)  # aligned, as O_DIRECT asks

    def write(self, mark: dict[str, object]) -> None:
        data = json.dumps(mark, separators=(",", ":")).encode()
        size = -(-len(data) // _SECTOR_BYTES) * _SECTOR_BYTES
        self._buffer[:size] = data.ljust(size, b"\0")
        with memoryview(self._buffer)[:size] as view:
            os.pwrite(self._fd, view, FILE_SYSTEM_BYTES)


@dataclass(slots=True, kw_only=True)
class World:
    """The store, and what the workload knows of it."""

    keyring: Keyring
    marker: Marker
    random: Random
    passphrase: bytes = b"first passphrase"
    keys: dict[str, tuple[KeyType, str]] = field(default_factory=dict)  # type and address by id
    tried: dict[tuple[str, str], tuple[int, int]] = field(default_factory=dict)
    count: int = 0

    async def perform(
        self, begin: dict[str, object], act: Callable[[], Awaitable[dict[str, object]]]
    ) -> bool:
        """Marks the beginning and the end. Returns: whether it was not refused."""
        number = self.count
        self.count += 1
        self.marker.write({"n": number, **begin})
        try:
            answer = await act()
        except KeychainError as error:
            self.marker.write({"n": number, "refused": int(error.code)})
            return False
        self.marker.write({"n": number, "done": answer})
        return True


async def init(world: World) -> None:
    is_deterministic = world.random.random() < 0.5

    async def act() -> dict[str, object]:
        with Secret(world.passphrase) as secret:
            await world.keyring.init(secret, is_deterministic)
        return {}

    begin: dict[str, object] = {"do": "init", "passphrase": world.passphrase.decode()}
    assert await world.perform(begin, act)


async def sign(world: World) -> None:
    key_id = world.random.choice(sorted(world.keys))
    key_type, address = world.keys[key_id]
    kind = world.random.choice(_KINDS)
    place = _choose_place(world, key_id, kind)
    payload = build_payload(str(key_type), kind, place, world.random.choice((0, 0, 0, 1)))

    async def act() -> dict[str, object]:
        return {"signature": (await world.keyring.sign(address, payload)).hex()}

    begin: dict[str, object] = {"do": "sign", "key": key_id, "kind": kind, "place": place}
    await world.perform({**begin, "payload": payload.hex()}, act)


def _choose_place(world: World, key_id: str, kind: str) -> tuple[int, int]:
    level, round_ = world.tried.get((key_id, kind), (_FIRST_LEVEL, 0))
    place = world.random.choice(
        ((level + 1, 0), (level + 1, 0), (level, round_ + 1), (level, round_), (level - 1, 0))
    )
    world.tried[key_id, kind] = max(place, (level, round_))
    return place


def build_payload(key_type: str, kind: str, place: tuple[int, int], variant: int) -> bytes:
    payload_hash = bytes([variant]) * 32
    if kind == "block":
        return payloads.block(*place, payload_hash=payload_hash)
    vote = payloads.preattestation if kind == "preattestation" else payloads.attestation
    return vote(key_type, *place, payload_hash=payload_hash)


async def unlock(world: World) -> None:
    async def act() -> dict[str, object]:
        with Secret(world.passphrase) as secret:
            await world.keyring.unlock(secret, ())
        return {}

    await world.perform({"do": "unlock"}, act)


async def _lock(world: World) -> None:
    async def act() -> dict[str, object]:
        await world.keyring.lock(())
        return {}

    await world.perform({"do": "lock"}, act)
    await unlock(world)


async def _new(world: World) -> None:
    if len(world.keys) >= _KEYS[1]:
        return
    key_id = f"k{world.count}"
    # Mostly Ed25519: under emulation it costs the workload least.
    key_type = world.random.choice((KeyType.TZ1, KeyType.TZ1, KeyType.TZ3, KeyType.TZ4))
    chain_id = world.random.choice((MAINNET, None))

    async def act() -> dict[str, object]:
        with Secret(world.passphrase) as secret:
            status = await world.keyring.new(secret, key_id, key_type, chain_id)
        world.keys[key_id] = (key_type, status.pkh)
        return {"address": status.pkh}

    if await world.perform({"do": "new", "key": key_id, "type": str(key_type)}, act):
        await unlock(world)


async def _delete(world: World) -> None:
    if len(world.keys) <= _KEYS[0]:
        return
    key_id = world.random.choice(sorted(world.keys))

    async def act() -> dict[str, object]:
        with Secret(world.passphrase) as secret:
            await world.keyring.delete(secret, key_id)
        return {}

    if await world.perform({"do": "delete", "key": key_id}, act):
        del world.keys[key_id]


Operation = Callable[[World], Awaitable[None]]

# What changes the keystore, and how often in comparison; runs beside signatures.
CHANGES: Final[tuple[tuple[Operation, int], ...]] = (
    (_new, 3),
    (_delete, 2),
    (_lock, 1),
)
