"""The requests that carry marks and keys from one board to another, and their responses. Pure
values.

Callers import them from `broker.messages`. Passphrases are left out of `repr`.
"""

from dataclasses import dataclass, field
from typing import ClassVar, Final

from broker import bounds
from broker.key_marks import KeyMarks
from broker.key_status import KeyOutcome

__all__ = [
    "ExportMarksRequest",
    "ExportMarksResponse",
    "ImportMarksRequest",
    "ImportMarksResponse",
]

# With 16 chains each they stay far under the payload limit of a frame.
_KEYS_LIMIT: Final = 16


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
