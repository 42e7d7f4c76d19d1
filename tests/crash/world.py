"""The store and what the workload knows of it; the marks through which it says what it does."""

import json
import mmap
import os
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Final

from broker.messages import KeyOutcome
from gadget.keychain.errors import KeychainError
from gadget.keychain.keyring import Keyring
from tests import payloads
from tests.crash.recording import DISK_BYTES, FILE_SYSTEM_BYTES
from tezos.keys import MAINNET, KeyType

__all__ = ["KINDS", "Marker", "Subject", "World", "build_payload"]

KINDS: Final = ("block", "preattestation", "attestation")
_SECTOR_BYTES: Final = 512
_FIRST_PLACE: Final = (1000, 0)


class Marker:
    """Writes marks behind the file system, past the page cache."""

    def __init__(self, disk: Path) -> None:
        self._fd = os.open(disk, os.O_WRONLY | os.O_DIRECT | os.O_CLOEXEC)
        self._buffer = mmap.mmap(-1, DISK_BYTES - FILE_SYSTEM_BYTES)  # aligned, as O_DIRECT asks

    def write(self, mark: Mapping[str, object]) -> None:
        data = json.dumps(mark, separators=(",", ":")).encode()
        size = -(-len(data) // _SECTOR_BYTES) * _SECTOR_BYTES
        self._buffer[:size] = data.ljust(size, b"\0")
        with memoryview(self._buffer)[:size] as view:
            os.pwrite(self._fd, view, FILE_SYSTEM_BYTES)


@dataclass(slots=True, kw_only=True)
class Subject:
    """A key to work with. `tried`: the highest place by kind, answered or not."""

    id: str
    type: KeyType
    address: str
    chain_id: bytes
    is_bound: bool
    tried: dict[str, tuple[int, int]] = field(
        default_factory=lambda: dict.fromkeys(KINDS, _FIRST_PLACE)
    )

    @property
    def highest_level(self) -> int:
        return max(level for level, _ in self.tried.values())


class _NotDone(Exception):
    """An outcome says no."""


@dataclass(slots=True, kw_only=True)
class World:
    """Args: count: the number of the next operation."""

    keyring: Keyring
    marker: Marker
    random: Random
    passphrase: bytes = b"first passphrase"
    subjects: dict[str, Subject] = field(default_factory=dict)
    count: int = 0

    def choose(self) -> Subject:
        return self.subjects[self.random.choice(sorted(self.subjects))]

    async def perform(
        self, begin: Mapping[str, object], act: Callable[[], Awaitable[object]]
    ) -> bool:
        """Marks the beginning and the end. Returns: whether it was not refused."""
        number = self.count
        self.count += 1
        self.marker.write({"n": number, **begin})
        try:
            answer = await act()
        except (KeychainError, _NotDone) as error:
            self.marker.write({"n": number, "refused": str(error)[:100]})
            return False
        self.marker.write({"n": number, "done": answer if isinstance(answer, dict) else {}})
        return True

    @staticmethod
    def refuse(outcome: KeyOutcome) -> None:
        """Within `act`. Raises where the outcome is a refusal."""
        if outcome.code:
            raise _NotDone(outcome.message)


def build_payload(
    key_type: str, kind: str, place: tuple[int, int], variant: int, chain_id: bytes = MAINNET
) -> bytes:
    payload_hash = bytes([variant]) * 32
    if kind == "block":
        return payloads.block(*place, payload_hash=payload_hash, chain_id=chain_id)
    vote = payloads.preattestation if kind == "preattestation" else payloads.attestation
    return vote(key_type, *place, payload_hash=payload_hash, chain_id=chain_id)
