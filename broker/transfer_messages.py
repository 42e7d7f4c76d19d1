"""The requests that carry marks and keys from one board to another, and their responses. Pure
values.

Callers import them from `broker.messages`. Passphrases are left out of `repr`.
"""

from dataclasses import dataclass, field
from typing import ClassVar, Final

from broker import bounds
from broker.key_marks import KeyMarks
from broker.key_status import KeyOutcome, KeyStatus

__all__ = [
    "SEALED_LIMIT_BYTES",
    "ExportKeyRequest",
    "ExportKeyResponse",
    "ExportMarksRequest",
    "ExportMarksResponse",
    "ImportKeyRequest",
    "ImportKeyResponse",
    "ImportMarksRequest",
    "ImportMarksResponse",
]

# With 16 chains each they stay far under the payload limit of a frame.
_KEYS_LIMIT: Final = 16
_ADDRESS_LIMIT: Final = 64
SEALED_LIMIT_BYTES: Final = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportMarksRequest:
    """Asks for all marks of an unlocked key."""

    op: ClassVar[str] = "export_marks"
    id: str

    def __post_init__(self) -> None:
        bounds.check_id(self.id)


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportMarksResponse:
    op: ClassVar[str] = "export_marks"
    marks: KeyMarks


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportMarksRequest:
    """Raises marks to those of another board; at most 16 keys, one may come more than once."""

    op: ClassVar[str] = "import_marks"
    passphrase: bytes = field(repr=False)
    keys: tuple[KeyMarks, ...]

    def __post_init__(self) -> None:
        bounds.check_passphrase("passphrase", self.passphrase)
        bounds.check(len(self.keys) <= _KEYS_LIMIT, f"more than {_KEYS_LIMIT} keys in one message")


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportMarksResponse:
    """One outcome for each of the request's keys, in their order."""

    op: ClassVar[str] = "import_marks"
    outcomes: tuple[KeyOutcome, ...]

    def __post_init__(self) -> None:
        bounds.check_keys(len(self.outcomes))


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportKeyRequest:
    """Retires an exportable key for good where it stands, and asks for it, sealed under a
    passphrase of its own.

    It may be asked for again, as long as the key is there: a file that was lost is no key lost.
    """

    op: ClassVar[str] = "export_key"
    passphrase: bytes = field(repr=False)
    id: str
    file_passphrase: bytes = field(repr=False)

    def __post_init__(self) -> None:
        bounds.check_passphrase("passphrase", self.passphrase)
        bounds.check_id(self.id)
        bounds.check_passphrase("file_passphrase", self.file_passphrase)


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportKeyResponse:
    """`sealed`: at most 4,096 bytes; docs/on-disk.md has the layout."""

    op: ClassVar[str] = "export_key"
    pkh: str
    sealed: bytes

    def __post_init__(self) -> None:
        bounds.check_size("pkh", self.pkh, _ADDRESS_LIMIT)
        bounds.check_size("sealed", self.sealed, SEALED_LIMIT_BYTES)


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportKeyRequest:
    """Takes in a key of another board with its marks; where the key is here, only the marks.

    `id`: what the key is to be called; None: as it was.
    """

    op: ClassVar[str] = "import_key"
    passphrase: bytes = field(repr=False)
    id: str | None
    file_passphrase: bytes = field(repr=False)
    sealed: bytes = field(repr=False)

    def __post_init__(self) -> None:
        bounds.check_passphrase("passphrase", self.passphrase)
        if self.id is not None:
            bounds.check_id(self.id)
        bounds.check_passphrase("file_passphrase", self.file_passphrase)
        bounds.check_size("sealed", self.sealed, SEALED_LIMIT_BYTES)


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportKeyResponse:
    op: ClassVar[str] = "import_key"
    key: KeyStatus
