"""The highest marks that this host has seen of each key: a second opinion on the board's own. Pure.

A board whose storage was rolled back (an old image, another SD card) would sign again what it has
signed before, and can't know. The host can: it has seen the signatures. Owns the values, what they
refuse and what they conclude from a board's report. Nothing here lowers a mark. Stored by
`host.witness_file`, asked by `host.witnessed_board`.

Two rules. A request at or below the highest signature seen is refused, unless it is the same
payload again. A key whose board reports a lower mark than was seen signs nothing at all, until its
marks are raised on the board.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from hashlib import blake2b
from typing import Final

from broker.messages import KeyStatus, MarkStatus
from host.errors import WitnessRefusal
from tezos.consensus import Kind

__all__ = ["Place", "SeenMark", "Witness", "hash_payload"]

_HASH_BYTES: Final = 32
_INT32_MAX: Final = 2**31 - 1


def hash_payload(payload: bytes) -> bytes:
    """BLAKE2b-256."""
    return blake2b(payload, digest_size=_HASH_BYTES).digest()


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a mark counts: `chain_id` is NetX…."""

    address: str
    chain_id: str
    kind: Kind


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenMark:
    """`payload_hash` None: the board reported it, and who asked for it was somebody else."""

    level: int
    round: int
    payload_hash: bytes | None = None

    def __post_init__(self) -> None:
        if not (0 <= self.level <= _INT32_MAX and 0 <= self.round <= _INT32_MAX):
            raise ValueError("level and round: expected 0 to 2**31-1")
        if self.payload_hash is not None and len(self.payload_hash) != _HASH_BYTES:
            raise ValueError("payload hash: expected 32 bytes")

    @property
    def height(self) -> tuple[int, int]:
        return self.level, self.round

    def __str__(self) -> str:
        return f"level {self.level} round {self.round}"


class Witness:
    """All that was seen. `version` grows with each change."""

    def __init__(self, seen: Mapping[Place, SeenMark] | None = None) -> None:
        self._seen = dict(seen or {})
        self.version = 0

    def marks(self) -> dict[Place, SeenMark]:
        return dict(self._seen)

    def see(self, place: Place, mark: SeenMark) -> None:
        """Keeps the higher mark; of two equal ones the one that knows its payload."""
        known = self._seen.get(place)
        if known is not None and (
            known.height > mark.height
            or (known.height == mark.height and (known.payload_hash or not mark.payload_hash))
        ):
            return
        self._seen[place] = mark
        self.version += 1

    def see_all(self, marks: Mapping[Place, SeenMark]) -> None:
        for place, mark in marks.items():
            self.see(place, mark)

    def check(self, place: Place, asked: SeenMark) -> None:
        """Raises: WitnessRefusal: something else was signed there, or above."""
        known = self._seen.get(place)
        if known is None or asked.height > known.height:
            return
        if asked.height == known.height and known.payload_hash in (None, asked.payload_hash):
            return  # the board decides: it has the same mark, or the key is refused as a whole
        raise WitnessRefusal(
            f"{_name(place.kind)} {asked}: this host has seen {known} signed by this key"
        )

    def find_rollback(self, key: KeyStatus) -> str | None:
        """Says how the board's report falls short of what was seen; None: it does not.

        A locked key reports no marks, and nothing is concluded from that.
        """
        if key.marks is None:
            return None
        reported = dict(_reported(key))
        for place, known in self._seen.items():
            if place.address != key.pkh or key.chain_id not in (None, place.chain_id):
                continue  # of another key, or of a chain that the board does not report now
            mark = reported.get(place)
            if mark is None or (mark.level, mark.round) < known.height:
                return _describe_rollback(key, place, mark, known)
        return None

    def see_report(self, key: KeyStatus) -> None:
        """Takes over what the board reports where it is higher."""
        for place, reported in _reported(key):
            if reported is not None:
                self.see(place, SeenMark(level=reported.level, round=reported.round))


def _reported(key: KeyStatus) -> Iterator[tuple[Place, MarkStatus | None]]:
    if key.marks is None or key.chain_id is None:
        return
    marks = {
        Kind.BLOCK: key.marks.block,
        Kind.PREATTESTATION: key.marks.preattestation,
        Kind.ATTESTATION: key.marks.attestation,
    }
    for kind, mark in marks.items():
        yield Place(address=key.pkh, chain_id=key.chain_id, kind=kind), mark


def _describe_rollback(
    key: KeyStatus, place: Place, reported: MarkStatus | None, known: SeenMark
) -> str:
    says = "none" if reported is None else f"level {reported.level} round {reported.round}"
    return (
        f"{key.id} is not used: the board reports {says} as its last {_name(place.kind)} on"
        f" {place.chain_id}, but this host has seen {known}. Its marks were rolled back: an old"
        " backup, or another SD card? If you are sure that no other board signs with this key,"
        f" raise them: tezsign advanced set-level {key.id} LEVEL, where LEVEL is at least"
        f" {known.level} and at least the head of the chain"
    )


def _name(kind: Kind) -> str:
    return kind.name.lower()
