"""What the workload's marks say: what was answered, and what may have happened besides. Pure.

This is the model that a store found after a crash is held against: it knows nothing of files. An
operation that has begun may or may not have happened; once it has ended "done" it must have.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Any, Final

__all__ = ["NO_PLACE", "Answered", "KeyAnswers", "Place", "Presence", "Votes"]

Place = tuple[int, int]
NO_PLACE: Final = (-1, -1)
# Any: JSON; the workload of this package wrote it.
_Fields = dict[str, Any]


class Presence(Enum):
    POSSIBLE = auto()  # its creation has begun
    CERTAIN = auto()
    DOUBTFUL = auto()  # its deletion has begun
    GONE = auto()


@dataclass(slots=True)
class Votes:
    """One kind of one key on one chain.

    Attributes:
        signed: what was answered: payload and signature by place.
        raised, raise_begun: to where the mark was, or may have been, raised by hand; nothing there
            needs to be signed again.
        begun: the highest place that was asked for.
    """

    signed: dict[Place, tuple[bytes, bytes]] = field(default_factory=dict)
    raised: Place = NO_PLACE
    raise_begun: Place = NO_PLACE
    begun: Place = NO_PLACE

    @property
    def highest(self) -> Place:
        return max(self.raised, *self.signed, NO_PLACE)


@dataclass(slots=True)
class KeyAnswers:
    """One key.

    Attributes:
        chains, last_levels: all that may be set; exactly one of each is.
        votes: by chain (as status shows it) and kind.
        open_operations: begun and not ended, by number.
    """

    type: str
    chains: set[str | None]
    last_levels: set[int | None] = field(default_factory=lambda: {None})
    presence: Presence = Presence.POSSIBLE
    address: str | None = None
    votes: dict[tuple[str, str], Votes] = field(default_factory=dict)
    open_operations: set[int] = field(default_factory=set)

    def votes_of(self, chain: str, kind: str) -> Votes:
        return self.votes.setdefault((chain, kind), Votes())


@dataclass(slots=True)
class Answered:
    """Folds marks, one at a time. `version` counts them.

    Attributes:
        is_made: whether the making of the keystore was answered.
        passphrases: all that may be the right one; exactly one is.
        former_passphrases: those that were replaced.
        open_changes: changes of the keystore that have begun and not ended, by number.
        open_unlocks: likewise; they write the marks of all keys again.
    """

    version: int = 0
    is_made: bool = False
    keys: dict[str, KeyAnswers] = field(default_factory=dict)
    passphrases: set[str] = field(default_factory=set)
    former_passphrases: list[str] = field(default_factory=list)
    open_changes: set[int] = field(default_factory=set)
    open_unlocks: set[int] = field(default_factory=set)
    _begun: dict[int, _Fields] = field(default_factory=dict)

    def take(self, mark: str) -> None:
        self.version += 1
        fields: _Fields = json.loads(mark)
        number = fields["n"]
        if "do" not in fields:
            self._end(self._begun.pop(number), fields.get("done"))
            return
        self._begun[number] = fields
        begin, _ = _OPERATIONS[fields["do"]]
        begin(self, fields)
        if fields["do"] in _CHANGES:
            self.open_changes.add(number)
        if fields["do"] == "unlock":
            self.open_unlocks.add(number)
        if "key" in fields:
            self._key(fields).open_operations.add(number)

    def _end(self, begun: _Fields, done: _Fields | None) -> None:
        _, end = _OPERATIONS[begun["do"]]
        end(self, begun, done)
        self.open_changes.discard(begun["n"])
        self.open_unlocks.discard(begun["n"])
        if "key" in begun:
            self._key(begun).open_operations.discard(begun["n"])

    def idle_keys(self) -> dict[str, KeyAnswers]:
        """Keys that are there and whose marks nothing is writing."""
        if self.open_unlocks:
            return {}
        return {
            key_id: key
            for key_id, key in self.keys.items()
            if key.presence is Presence.CERTAIN and not key.open_operations
        }

    def _key(self, fields: _Fields) -> KeyAnswers:
        return self.keys[fields["key"]]

    def _begin_init(self, begun: _Fields) -> None:
        self.passphrases = {begun["passphrase"]}

    def _end_init(self, _begun: _Fields, done: _Fields | None) -> None:
        self.is_made = done is not None

    def _begin_passwd(self, begun: _Fields) -> None:
        self.passphrases |= {begun["passphrase"]}

    def _end_passwd(self, begun: _Fields, done: _Fields | None) -> None:
        new = {begun["passphrase"]}
        if done is None:
            self.passphrases -= new
        else:
            self.former_passphrases += sorted(self.passphrases - new)
            self.passphrases = new

    def _begin_new(self, begun: _Fields) -> None:
        self.keys[begun["key"]] = KeyAnswers(type=begun["type"], chains={begun["chain"]})

    def _end_new(self, begun: _Fields, done: _Fields | None) -> None:
        key = self._key(begun)
        key.presence = Presence.GONE if done is None else Presence.CERTAIN
        key.address = None if done is None else done["address"]

    def _begin_delete(self, begun: _Fields) -> None:
        self._key(begun).presence = Presence.DOUBTFUL

    def _end_delete(self, begun: _Fields, done: _Fields | None) -> None:
        self._key(begun).presence = Presence.CERTAIN if done is None else Presence.GONE

    def _begin_retire(self, begun: _Fields) -> None:
        self._key(begun).last_levels |= {begun["level"]}

    def _end_retire(self, begun: _Fields, done: _Fields | None) -> None:
        _decide(self._key(begun).last_levels, begun["level"], done is not None)

    def _begin_set_chain(self, begun: _Fields) -> None:
        self._key(begun).chains |= {begun["chain"]}

    def _end_set_chain(self, begun: _Fields, done: _Fields | None) -> None:
        _decide(self._key(begun).chains, begun["chain"], done is not None)

    def _begin_sign(self, begun: _Fields) -> None:
        key = self._key(begun)
        if None in key.chains:  # the first one that it signs on
            key.chains |= {begun["chain"]}
        votes = key.votes_of(begun["chain"], begun["kind"])
        votes.begun = max(votes.begun, _place(begun))

    def _end_sign(self, begun: _Fields, done: _Fields | None) -> None:
        if done is None:
            return
        key = self._key(begun)
        key.chains -= {None}
        answer = (bytes.fromhex(begun["payload"]), bytes.fromhex(done["signature"]))
        signed = key.votes_of(begun["chain"], begun["kind"]).signed
        if signed.setdefault(_place(begun), answer) != answer:
            raise ValueError(f"two answers for one place while recording: {begun}")

    def _begin_raise(self, begun: _Fields) -> None:
        for kind in begun["kinds"]:
            votes = self._key(begun).votes_of(begun["chain"], kind)
            votes.begun = max(votes.begun, _place(begun))
            votes.raise_begun = max(votes.raise_begun, _place(begun))

    def _end_raise(self, begun: _Fields, done: _Fields | None) -> None:
        for kind in begun["kinds"] if done is not None else ():
            votes = self._key(begun).votes_of(begun["chain"], kind)
            votes.raised = max(votes.raised, _place(begun))

    def _ignore(self, *_: object) -> None:
        """Says nothing about what must be found later."""


def _place(fields: _Fields) -> Place:
    level, round_ = fields["place"]
    return level, round_


def _decide(possible: set[Any], value: object, is_done: bool) -> None:
    """In place: exactly the value, or anything but it."""
    if is_done:
        possible.clear()
        possible.add(value)
    elif len(possible) > 1:
        possible.discard(value)


_Begin = Callable[[Answered, _Fields], None]
_End = Callable[[Answered, _Fields, _Fields | None], None]

# What the beginning and the end of each operation mean.
_OPERATIONS: Final[dict[str, tuple[_Begin, _End]]] = {
    "init": (Answered._begin_init, Answered._end_init),
    "passwd": (Answered._begin_passwd, Answered._end_passwd),
    "new": (Answered._begin_new, Answered._end_new),
    "delete": (Answered._begin_delete, Answered._end_delete),
    "retire": (Answered._begin_retire, Answered._end_retire),
    "set_chain": (Answered._begin_set_chain, Answered._end_set_chain),
    "raise": (Answered._begin_raise, Answered._end_raise),
    "sign": (Answered._begin_sign, Answered._end_sign),
    "lock": (Answered._ignore, Answered._ignore),
    "unlock": (Answered._ignore, Answered._ignore),
}
# Those that replace the keystore.
_CHANGES: Final = {"init", "passwd", "new", "delete", "retire", "set_chain"}
