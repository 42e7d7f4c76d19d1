"""The payload oracle: every signature that came back, and what is wrong with it. Pure.

For one place (key, kind, level, round) at most one payload may ever be signed, and the same payload
has one signature. Payloads are built by `tests.payloads`, so that no parser of ours has a say.
"""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from tests.payloads import attestation, block, preattestation
from tezos.keys import PublicKey
from tezos.verify import verify

__all__ = ["KINDS", "Ledger", "Place", "Question", "ask_at"]

_HASH_BYTES: Final = 32


def _block(_key_type: str, level: int, round_: int, *, payload_hash: bytes) -> bytes:
    return block(level, round_, payload_hash=payload_hash)


KINDS: Final[dict[str, Callable[..., bytes]]] = {
    "attestation": attestation,
    "preattestation": preattestation,
    "block": _block,
}


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Place:
    """What may be signed once."""

    address: str
    kind: str
    level: int
    round: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A payload for its place."""

    place: Place
    payload: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class _Signed:
    payload: bytes
    signature: bytes


def ask_at(place: Place) -> Question:
    """Makes a payload for this place that no other one has."""
    build = KINDS[place.kind]
    payload_hash = os.urandom(_HASH_BYTES)
    key_type = place.address[:3]
    payload = build(key_type, place.level, place.round, payload_hash=payload_hash)
    return Question(place=place, payload=payload)


class Ledger:
    """All signatures of a run, whichever process or session brought them."""

    def __init__(self) -> None:
        self._signed: dict[Place, _Signed] = {}

    def __len__(self) -> int:
        """How many places were signed."""
        return len(self._signed)

    def enter(self, question: Question, signature: bytes) -> str | None:
        """Notes an answer; returns what is wrong with it, None where nothing is."""
        signed = _Signed(payload=question.payload, signature=signature)
        before = self._signed.setdefault(question.place, signed)
        if before.payload != question.payload:
            return f"TWO PAYLOADS SIGNED at {question.place}"
        if before.signature != signature:
            return f"two signatures for one payload at {question.place}"
        return None

    def latest(self) -> list[Question]:
        """The highest place of each key and kind with its payload: no mark may be below it."""
        highest = {(place.address, place.kind): place for place in sorted(self._signed)}
        return [
            Question(place=place, payload=self._signed[place].payload) for place in highest.values()
        ]

    def check_signatures(self, public_keys: dict[str, str]) -> Iterator[str]:
        """Yields one line for each signature that is not the key's over its payload.

        Args:
            public_keys: base58, by address.
        """
        keys = {address: PublicKey.from_base58(text) for address, text in public_keys.items()}
        for place, signed in self._signed.items():
            if not verify(keys[place.address], signed.signature, signed.payload):
                yield f"not a signature of its payload at {place}"
