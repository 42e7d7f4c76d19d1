"""The requests that change what keys may do, and their responses. Pure values.

All of them need the passphrase. None of them can lower a mark or take back a retirement. Callers
import them from `broker.messages`. Passphrases are left out of `repr`.
"""

from dataclasses import dataclass, field
from typing import ClassVar

from broker import bounds
from broker.key_status import KeyStatus

__all__ = [
    "PasswdRequest",
    "PasswdResponse",
    "RetireRequest",
    "RetireResponse",
    "SetChainRequest",
    "SetChainResponse",
    "SetLevelRequest",
    "SetLevelResponse",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class PasswdRequest:
    """Replaces the passphrase of everything on the board."""

    op: ClassVar[str] = "passwd"
    passphrase: bytes = field(repr=False)
    new_passphrase: bytes = field(repr=False)

    def __post_init__(self) -> None:
        bounds.check_passphrase("passphrase", self.passphrase)
        bounds.check_passphrase("new_passphrase", self.new_passphrase)


@dataclass(frozen=True, slots=True, kw_only=True)
class PasswdResponse:
    op: ClassVar[str] = "passwd"


@dataclass(frozen=True, slots=True, kw_only=True)
class SetLevelRequest:
    """Uses up all levels up to `level`, for every kind: `level` + 1 is the first that may be
    signed.

    `chain_id`: NetX…, None = the one that the key signs on. A key whose marks were lost is brought
    back by this, and by nothing else.
    """

    op: ClassVar[str] = "set_level"
    passphrase: bytes = field(repr=False)
    id: str
    chain_id: str | None
    level: int

    def __post_init__(self) -> None:
        bounds.check_passphrase("passphrase", self.passphrase)
        bounds.check_id(self.id)
        bounds.check_size("chain_id", self.chain_id, bounds.CHAIN_ID_LIMIT)
        bounds.check_number("level", self.level)


@dataclass(frozen=True, slots=True, kw_only=True)
class SetLevelResponse:
    op: ClassVar[str] = "set_level"
    key: KeyStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class SetChainRequest:
    """Binds a key to another chain, NetX…. The marks of every chain stay."""

    op: ClassVar[str] = "set_chain"
    passphrase: bytes = field(repr=False)
    id: str
    chain_id: str

    def __post_init__(self) -> None:
        bounds.check_passphrase("passphrase", self.passphrase)
        bounds.check_id(self.id)
        bounds.check_size("chain_id", self.chain_id, bounds.CHAIN_ID_LIMIT)


@dataclass(frozen=True, slots=True, kw_only=True)
class SetChainResponse:
    op: ClassVar[str] = "set_chain"
    key: KeyStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class RetireRequest:
    """Lets a key sign nothing above `last_level`, for good; it can be lowered later, never
    raised.
    """

    op: ClassVar[str] = "retire"
    passphrase: bytes = field(repr=False)
    id: str
    last_level: int

    def __post_init__(self) -> None:
        bounds.check_passphrase("passphrase", self.passphrase)
        bounds.check_id(self.id)
        bounds.check_number("last_level", self.last_level)


@dataclass(frozen=True, slots=True, kw_only=True)
class RetireResponse:
    op: ClassVar[str] = "retire"
    key: KeyStatus
