"""A key's marks in full, as they travel from one board to another. Pure values.

Callers import these from `broker.messages`; `host.mark_file` has them as JSON.
"""

from dataclasses import dataclass
from typing import Final

from broker.bounds import CHAIN_ID_LIMIT, check, check_id, check_number, check_size

__all__ = ["CHAINS_LIMIT", "ChainEntry", "KeyMarks", "MarkEntry"]

_ADDRESS_LIMIT: Final = 64
CHAINS_LIMIT: Final = 16
_HASH_BYTES: Final = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class MarkEntry:
    """`hash`: BLAKE2b-256 of the payload that was signed there; None where that is not known."""

    level: int
    round: int
    hash: bytes | None

    def __post_init__(self) -> None:
        check_number("level", self.level)
        check_number("round", self.round)
        check(self.hash is None or len(self.hash) == _HASH_BYTES, "hash is not 32 bytes")


@dataclass(frozen=True, slots=True, kw_only=True)
class ChainEntry:
    """What a key has signed on one chain.

    `last_level`: the last that the sender may still sign here, so the receiver starts above it;
    None where the sender's key is not retired, or not bound to this chain.
    """

    chain_id: str
    last_level: int | None
    block: MarkEntry | None
    preattestation: MarkEntry | None
    attestation: MarkEntry | None

    def __post_init__(self) -> None:
        check_size("chain_id", self.chain_id, CHAIN_ID_LIMIT)
        check_number("last_level", self.last_level)


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyMarks:
    """`id` is the board's name for the key, `pkh` the address that the marks belong to."""

    id: str
    pkh: str
    chains: tuple[ChainEntry, ...]

    def __post_init__(self) -> None:
        check_id(self.id)
        check_size("pkh", self.pkh, _ADDRESS_LIMIT)
        check(len(self.chains) <= CHAINS_LIMIT, f"more than {CHAINS_LIMIT} chains")
        names = {chain.chain_id for chain in self.chains}
        check(len(names) == len(self.chains), "a chain occurs twice")
