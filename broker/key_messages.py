"""The requests that make, open, close and delete keys, and their responses. Pure values.

Callers import them from `broker.messages`. Passphrases are left out of `repr`.
"""

from dataclasses import dataclass, field
from typing import ClassVar

from broker import bounds
from broker.key_status import KeyOutcome, KeyStatus

__all__ = [
    "DeleteRequest",
    "DeleteResponse",
    "InitRequest",
    "InitResponse",
    "LockRequest",
    "LockResponse",
    "NewRequest",
    "NewResponse",
    "UnlockRequest",
    "UnlockResponse",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class InitRequest:
    """Creates the keystore. Refused where one exists or its files are damaged."""

    op: ClassVar[str] = "init"
    passphrase: bytes = field(repr=False)
    deterministic: bool

    def __post_init__(self) -> None:
        bounds.check_passphrase("passphrase", self.passphrase)


@dataclass(frozen=True, slots=True, kw_only=True)
class InitResponse:
    op: ClassVar[str] = "init"


@dataclass(frozen=True, slots=True, kw_only=True)
class NewRequest:
    """Creates one key. `chain_id`: NetX…, or None for the first chain it is asked to sign on.

    `exportable`: whether `export_key` may ever be asked for; the key keeps that for good.
    """

    op: ClassVar[str] = "new"
    passphrase: bytes = field(repr=False)
    id: str
    type: str
    chain_id: str | None
    exportable: bool

    def __post_init__(self) -> None:
        bounds.check_passphrase("passphrase", self.passphrase)
        bounds.check_id(self.id)
        bounds.check_size("type", self.type, 16)
        bounds.check_size("chain_id", self.chain_id, bounds.CHAIN_ID_LIMIT)


@dataclass(frozen=True, slots=True, kw_only=True)
class NewResponse:
    op: ClassVar[str] = "new"
    key: KeyStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class UnlockRequest:
    """Unlocks these keys, or all where `ids` is empty."""

    op: ClassVar[str] = "unlock"
    passphrase: bytes = field(repr=False)
    ids: tuple[str, ...]

    def __post_init__(self) -> None:
        bounds.check_passphrase("passphrase", self.passphrase)
        bounds.check_ids(self.ids)


@dataclass(frozen=True, slots=True, kw_only=True)
class UnlockResponse:
    op: ClassVar[str] = "unlock"
    outcomes: tuple[KeyOutcome, ...]

    def __post_init__(self) -> None:
        bounds.check_keys(len(self.outcomes))


@dataclass(frozen=True, slots=True, kw_only=True)
class LockRequest:
    """Locks these keys, or all where `ids` is empty."""

    op: ClassVar[str] = "lock"
    ids: tuple[str, ...]

    def __post_init__(self) -> None:
        bounds.check_ids(self.ids)


@dataclass(frozen=True, slots=True, kw_only=True)
class LockResponse:
    op: ClassVar[str] = "lock"
    outcomes: tuple[KeyOutcome, ...]

    def __post_init__(self) -> None:
        bounds.check_keys(len(self.outcomes))


@dataclass(frozen=True, slots=True, kw_only=True)
class DeleteRequest:
    """Deletes one key for good; a tombstone of its marks stays."""

    op: ClassVar[str] = "delete"
    passphrase: bytes = field(repr=False)
    id: str

    def __post_init__(self) -> None:
        bounds.check_passphrase("passphrase", self.passphrase)
        bounds.check_id(self.id)


@dataclass(frozen=True, slots=True, kw_only=True)
class DeleteResponse:
    op: ClassVar[str] = "delete"
