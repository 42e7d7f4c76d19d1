"""The watermark policy: may this payload be signed, and what is the mark afterwards? Pure.

Owns the rules of docs/on-disk.md and the values they work on. Never stores, seals or signs;
`gadget.keychain.key` asks it once for each request, under the key's lock. What a person may change
is in `mark_changes`. A mark is never lowered by anything here: there is no function that could.
"""

from dataclasses import dataclass
from typing import Final

from gadget.keychain.errors import KeyRetired, LevelJump, StaleWatermark, WrongChain
from tezos.consensus import ConsensusPayload, Kind
from tezos.keys import encode_chain_id

__all__ = [
    "CHAINS_LIMIT",
    "LEVEL_JUMP_LIMIT",
    "Advance",
    "ChainMarks",
    "Mark",
    "Marks",
    "Repeat",
    "decide",
]

CHAINS_LIMIT: Final = 16
LEVEL_JUMP_LIMIT: Final = 200_000  # 14 days of 6 s blocks
_INT32_MAX: Final = 2**31 - 1
_HASH_BYTES: Final = 32
_CHAIN_ID_BYTES: Final = 4


def _check(condition: bool, message: str) -> None:
    if not condition:
        raise ValueError(message)


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """The highest (level, round) of one kind on one chain.

    Args:
        payload_hash: BLAKE2b-256 of the payload that was signed; zeros where that is not known.
        may_resign: whether the same payload may be signed again; never for a mark that was set,
            imported or taken from a tombstone.
    """

    level: int
    round: int
    payload_hash: bytes
    may_resign: bool

    def __post_init__(self) -> None:
        _check(0 <= self.level <= _INT32_MAX, "level: expected 0 to 2**31-1")
        _check(0 <= self.round <= _INT32_MAX, "round: expected 0 to 2**31-1")
        _check(len(self.payload_hash) == _HASH_BYTES, "payload hash: expected 32 bytes")


@dataclass(frozen=True, slots=True, kw_only=True)
class ChainMarks:
    """What one key has done on one chain.

    Args:
        signed_level: the highest level of any kind that this key has signed here; None: nothing.
    """

    chain_id: bytes
    signed_level: int | None = None
    block: Mark | None = None
    preattestation: Mark | None = None
    attestation: Mark | None = None

    def __post_init__(self) -> None:
        _check(len(self.chain_id) == _CHAIN_ID_BYTES, "chain id: expected 4 bytes")
        _check(
            self.signed_level is None or 0 <= self.signed_level <= _INT32_MAX,
            "signed level: expected 0 to 2**31-1",
        )

    @property
    def highest(self) -> int | None:
        """The highest level that is used up for any kind; None: none is."""
        marks = (self.block, self.preattestation, self.attestation)
        levels = [mark.level for mark in marks if mark is not None]
        if self.signed_level is not None:
            levels.append(self.signed_level)
        return max(levels, default=None)

    def of_kind(self, kind: Kind) -> Mark | None:
        if kind is Kind.BLOCK:
            return self.block
        return self.preattestation if kind is Kind.PREATTESTATION else self.attestation

    def with_mark(self, kind: Kind, mark: Mark | None, signed_level: int | None) -> "ChainMarks":
        return ChainMarks(
            chain_id=self.chain_id,
            signed_level=signed_level,
            block=mark if kind is Kind.BLOCK else self.block,
            preattestation=mark if kind is Kind.PREATTESTATION else self.preattestation,
            attestation=mark if kind is Kind.ATTESTATION else self.attestation,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Marks:
    """All marks of one key.

    Args:
        last_level: of a retired key, the last that it may sign.
        bound_chain: the first chain signed by a key that was made for "the first one".
        are_partial: earlier marks were lost, so it may have signed anything on a chain that is not
            in `chains`.
    """

    chains: tuple[ChainMarks, ...] = ()
    last_level: int | None = None
    bound_chain: bytes | None = None
    are_partial: bool = False

    def __post_init__(self) -> None:
        _check(len(self.chains) <= CHAINS_LIMIT, f"more than {CHAINS_LIMIT} chains")
        ids = {chain.chain_id for chain in self.chains}
        _check(len(ids) == len(self.chains), "a chain occurs twice")
        _check(
            self.last_level is None or 0 <= self.last_level <= _INT32_MAX,
            "last level: expected 0 to 2**31-1",
        )
        _check(
            self.bound_chain is None or len(self.bound_chain) == _CHAIN_ID_BYTES,
            "bound chain: expected 4 bytes",
        )

    def on_chain(self, chain_id: bytes) -> ChainMarks:
        for chain in self.chains:
            if chain.chain_id == chain_id:
                return chain
        return ChainMarks(chain_id=chain_id)

    def has_chain(self, chain_id: bytes) -> bool:
        return any(chain.chain_id == chain_id for chain in self.chains)

    def with_chain(self, changed: ChainMarks, bound_chain: bytes | None) -> "Marks":
        """Raises: WrongChain: there is no room for another chain."""
        chains = tuple(
            changed if chain.chain_id == changed.chain_id else chain for chain in self.chains
        )
        if changed not in chains:
            if len(chains) == CHAINS_LIMIT:
                raise WrongChain(f"this key has marks on {CHAINS_LIMIT} chains, no room for more")
            chains = (*chains, changed)
        return Marks(
            chains=chains,
            last_level=self.last_level,
            bound_chain=bound_chain,
            are_partial=self.are_partial,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Advance:
    """Sign, once these marks are durable."""

    marks: Marks


@dataclass(frozen=True, slots=True, kw_only=True)
class Repeat:
    """The very payload that the mark stands for: sign again, nothing to record."""


_REPEAT: Final = Repeat()


def decide(
    marks: Marks, payload: ConsensusPayload, payload_hash: bytes, chain_id: bytes | None
) -> Advance | Repeat:
    """Compares a payload with the marks.

    Args:
        chain_id: the chain that the key was made for; None: the first one that it signs on.

    Raises:
        WrongChain, KeyRetired, StaleWatermark, LevelJump: it may not be signed.
    """
    bound = chain_id or marks.bound_chain
    if bound is not None and payload.chain_id != bound:
        raise WrongChain(
            f"this key signs on {encode_chain_id(bound)}, not {encode_chain_id(payload.chain_id)}"
        )
    if marks.last_level is not None and payload.level > marks.last_level:
        raise KeyRetired(f"retired above level {marks.last_level}, asked for {payload.level}")
    chain = marks.on_chain(payload.chain_id)
    mark = chain.of_kind(payload.kind)
    if mark is not None and (payload.level, payload.round) <= (mark.level, mark.round):
        return _repeat_or_refuse(mark, payload, payload_hash)
    if marks.are_partial and not marks.has_chain(payload.chain_id):
        raise WrongChain(
            f"the marks of this key on {encode_chain_id(payload.chain_id)} were lost: "
            "set its level there first"
        )
    _check_jump(chain, payload.level)
    changed = chain.with_mark(
        payload.kind,
        Mark(level=payload.level, round=payload.round, payload_hash=payload_hash, may_resign=True),
        max(payload.level, chain.signed_level or 0),
    )
    return Advance(marks=marks.with_chain(changed, marks.bound_chain or payload.chain_id))


def _repeat_or_refuse(mark: Mark, payload: ConsensusPayload, payload_hash: bytes) -> Repeat:
    same_place = (payload.level, payload.round) == (mark.level, mark.round)
    if same_place and mark.may_resign and payload_hash == mark.payload_hash:
        return _REPEAT
    kind = payload.kind.name.lower()
    reason = "another payload was signed there" if same_place and mark.may_resign else "used up"
    raise StaleWatermark(
        f"{kind} level {payload.level} round {payload.round}: {reason}, "
        f"the mark is level {mark.level} round {mark.round}"
    )


def _check_jump(chain: ChainMarks, level: int) -> None:
    # Marks that were set count too, so that set-level is the way out for a key that was idle.
    if chain.signed_level is None:
        return
    highest = chain.highest or 0
    if level > highest + LEVEL_JUMP_LIMIT:
        raise LevelJump(
            f"level {level} is more than {LEVEL_JUMP_LIMIT} above {highest}, the highest so far"
        )
