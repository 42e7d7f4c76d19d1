"""How much of a journal file is in use, from its header.

`journalctl --disk-usage` tells what is allocated, in steps of megabytes. Source:
docs/JOURNAL_FILE_FORMAT.md of systemd, struct Header; all numbers are little-endian.

| offset | size | meaning |
|---|---|---|
| 0 | 8 | LPKSHHRH |
| 88 | 8 | header_size |
| 112 | 8 | data_hash_table_size |
| 128 | 8 | field_hash_table_size |
| 136 | 8 | tail_object_offset |
| 152 | 8 | n_entries |

An object begins with 8 bytes of type and flags, then its size in 8 bytes.
"""

import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

__all__ = ["JournalFile", "find_journal"]

_SIGNATURE: Final = b"LPKSHHRH"
_HEADER_BYTES: Final = 160
_FOLDERS: Final = (Path("/run/log/journal"), Path("/var/log/journal"))


@dataclass(frozen=True, slots=True, kw_only=True)
class JournalFile:
    """`fixed_bytes` each file has, however few entries are in it."""

    used_bytes: int
    fixed_bytes: int
    entries: int

    @classmethod
    def read(cls, file: Path) -> Self:
        with file.open("rb") as opened:
            header = opened.read(_HEADER_BYTES)
            assert header.startswith(_SIGNATURE)
            tail = _number(header, 136)
            opened.seek(tail)
            tail_size = _number(opened.read(16), 8)
        return cls(
            used_bytes=tail + tail_size,
            fixed_bytes=_number(header, 88) + _number(header, 112) + _number(header, 128),
            entries=_number(header, 152),
        )


def find_journal() -> Path:
    """The file that journald appends to."""
    (file,) = (file for folder in _FOLDERS for file in folder.glob("*/system.journal"))
    return file


def _number(data: bytes, offset: int) -> int:
    (number,) = struct.unpack_from("<Q", data, offset)
    return int(number)
