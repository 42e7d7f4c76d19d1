"""What messages say about one key: its state, its marks, what became of it. Pure values.

Callers import these from `broker.messages`.
"""

from dataclasses import dataclass
from typing import Final

from broker.bounds import CHAIN_ID_LIMIT, check, check_id, check_number, check_size

__all__ = ["KeyOutcome", "KeyStatus", "MarkStatus", "MarksStatus"]

_LOCK_STATES: Final = frozenset({"locked", "unlocked", "unusable"})
_TEXT_LIMIT: Final = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class MarkStatus:
    level: int
    round: int

    def __post_init__(self) -> None:
        check_number("level", self.level)
        check_number("round", self.round)


@dataclass(frozen=True, slots=True, kw_only=True)
class MarksStatus:
    """The mark of each kind on the key's chain; None where nothing of that kind was signed."""

    block: MarkStatus | None
    preattestation: MarkStatus | None
    attestation: MarkStatus | None


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyStatus:
    """One key. `lock_state`: locked, unlocked or unusable.

    `chain_id`: NetX…, None = the first one signed. `marks` is None while the key is locked (they
    are sealed) or unusable. `last_level` is None unless the key is retired. A mark of round 2**31-1
    was set by a person: all of its level is used up.
    """

    id: str
    type: str
    pkh: str
    public_key: str
    proof_of_possession: str | None
    lock_state: str
    chain_id: str | None
    marks: MarksStatus | None
    last_level: int | None

    def __post_init__(self) -> None:
        check_id(self.id)
        check_size("type", self.type, 16)
        check_size("pkh", self.pkh, 64)
        check_size("public_key", self.public_key, 128)
        check_size("proof_of_possession", self.proof_of_possession, 256)
        check(self.lock_state in _LOCK_STATES, "lock_state is locked, unlocked or unusable")
        check_size("chain_id", self.chain_id, CHAIN_ID_LIMIT)
        check_number("last_level", self.last_level)


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyOutcome:
    """What became of one key of a request that names several; code 0 means done."""

    id: str
    code: int
    message: str

    def __post_init__(self) -> None:
        check_id(self.id)
        check_number("code", self.code)
        check_size("message", self.message, _TEXT_LIMIT)
