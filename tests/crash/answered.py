"""What the workload's marks say: what was answered, and what may have happened besides. Pure.

This is the model that a store found after a crash is held against: it knows nothing of files. An
operation that has begun may or may not have happened; once it has ended "done" it must have.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Any, Final

__all__ = ["Answered", "KeyAnswers", "Place", "Presence", "Votes"]

Place = tuple[int, int]
NO_PLACE: Final = (-1, -1)


class Presence(Enum):
    POSSIBLE = auto()  # its creation has begun
    CERTAIN = auto()
    DOUBTFUL = auto()  # its deletion has begun
    GONE = auto()


@dataclass(slots=True)
class Votes:
    """One kind of one key.

    Attributes:
        signed: what was answered: payload and signature by place.
        begun: the highest place that was asked for.
    """

    signed: dict[Place, tuple[bytes, bytes]] = field(default_factory=dict)
    begun: Place = NO_PLACE

    @property
    def highest(self) -> Place:
        return max(self.signed, default=NO_PLACE)


@dataclass(slots=True)
class KeyAnswers:
    """One key. `open_operations`: begun and not ended, by number."""

    type: str
    presence: Presence = Presence.POSSIBLE
    address: str | None = None
    votes: dict[str, Votes] = field(default_factory=dict)
    open_operations: set[int] = field(default_factory=set)


@dataclass(slots=True)
class Answered:
    """Folds marks, one at a time. `version` counts them.

    Attributes:
        is_made: whether the making of the keystore was answered.
        passphrases: all that may be the right one; exactly one is.
        retired_passphrases: all that may not be it any more.
        open_changes: changes of the keystore that have begun and not ended, by number.
    open_unlocks: likewise; they write the marks of all keys again.
    """

    version: int = 0
    is_made: bool = False
    keys: dict[str, KeyAnswers] = field(default_factory=dict)
    passphrases: set[str] = field(default_factory=set)
    retired_passphrases: set[str] = field(default_factory=set)
    open_changes: set[int] = field(default_factory=set)
    open_unlocks: set[int] = field(default_factory=set)
    _begun: dict[int, dict[str, Any]] = field(default_factory=dict)

    def take(self, mark: str) -> None:
        self.version += 1
        # Any: JSON; the workload of this package wrote it.
        fields: dict[str, Any] = json.loads(mark)
        number = fields["n"]
        if "do" in fields:
            self._begun[number] = fields
            begin, _ = _OPERATIONS[fields["do"]]
            begin(self, fields)
            return
        begun = self._begun.pop(number)
        self.open_changes.discard(number)
        self.open_unlocks.discard(number)
        key = self.keys.get(begun.get("key", ""))
        if key is not None:
            key.open_operations.discard(number)
        _, end = _OPERATIONS[begun["do"]]
        end(self, begun, fields.get("done"))

    def idle_keys(self) -> dict[str, KeyAnswers]:
        """Keys that are there and whose marks nothing is writing."""
        if self.open_unlocks:
            return {}
        return {
            key_id: key
            for key_id, key in self.keys.items()
            if key.presence is Presence.CERTAIN and not key.open_operations
        }

    def _begin_init(self, begun: dict[str, Any]) -> None:
        self.open_changes.add(begun["n"])
        self.passphrases = {begun["passphrase"]}

    def _end_init(self, _begun: dict[str, Any], done: dict[str, Any] | None) -> None:
        self.is_made = done is not None

    def _begin_new(self, begun: dict[str, Any]) -> None:
        self.open_changes.add(begun["n"])
        self.keys[begun["key"]] = KeyAnswers(type=begun["type"], open_operations={begun["n"]})

    def _end_new(self, begun: dict[str, Any], done: dict[str, Any] | None) -> None:
        key = self.keys[begun["key"]]
        key.presence = Presence.GONE if done is None else Presence.CERTAIN
        key.address = None if done is None else done["address"]

    def _begin_delete(self, begun: dict[str, Any]) -> None:
        self.open_changes.add(begun["n"])
        key = self.keys[begun["key"]]
        key.presence = Presence.DOUBTFUL
        key.open_operations.add(begun["n"])

    def _end_delete(self, begun: dict[str, Any], done: dict[str, Any] | None) -> None:
        self.keys[begun["key"]].presence = Presence.CERTAIN if done is None else Presence.GONE

    def _begin_sign(self, begun: dict[str, Any]) -> None:
        key = self.keys[begun["key"]]
        key.open_operations.add(begun["n"])
        votes = key.votes.setdefault(begun["kind"], Votes())
        level, round_ = begun["place"]
        votes.begun = max(votes.begun, (level, round_))

    def _end_sign(self, begun: dict[str, Any], done: dict[str, Any] | None) -> None:
        if done is None:
            return
        level, round_ = begun["place"]
        votes = self.keys[begun["key"]].votes[begun["kind"]]
        answer = (bytes.fromhex(begun["payload"]), bytes.fromhex(done["signature"]))
        if votes.signed.setdefault((level, round_), answer) != answer:
            raise ValueError(f"two answers for one place while recording: {begun}")

    def _begin_unlock(self, begun: dict[str, Any]) -> None:
        self.open_unlocks.add(begun["n"])

    def _ignore(self, *_: object) -> None:
        """Says nothing about what must be found later."""


_Step = Callable[[Answered, dict[str, Any]], None]
_End = Callable[[Answered, dict[str, Any], dict[str, Any] | None], None]

# What the beginning and the end of each operation mean.
_OPERATIONS: Final[dict[str, tuple[_Step, _End]]] = {
    "init": (Answered._begin_init, Answered._end_init),
    "new": (Answered._begin_new, Answered._end_new),
    "delete": (Answered._begin_delete, Answered._end_delete),
    "sign": (Answered._begin_sign, Answered._end_sign),
    "lock": (Answered._ignore, Answered._ignore),
    "unlock": (Answered._begin_unlock, Answered._ignore),
}
