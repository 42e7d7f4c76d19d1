"""What happened to a disk, in order: writes, flushes, and marks that say what was answered.

A recording is a base image and entries, kept in one file (zlib), so that a violation can be looked
at again. `Recorder` makes one from what `nbd` tells; `replay` takes it apart. The disk is the file
system, and behind it the place to which the workload writes its marks: they take the same way as
the writes of the file system, so they are in order with them.
"""

import json
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from struct import Struct
from typing import Final, Self

__all__ = ["DISK_BYTES", "FILE_SYSTEM_BYTES", "Entry", "Flush", "Mark", "Recorder", "Recording",
           "Write"]  # fmt: skip

FILE_SYSTEM_BYTES: Final = 10 * 1024 * 1024
DISK_BYTES: Final = FILE_SYSTEM_BYTES + 1024 * 1024

_HEADER: Final = Struct("<BQI")  # kind, number, size of the data


@dataclass(frozen=True, slots=True)
class Write:
    """In flight from here on, until a flush covers it."""

    offset: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Flush:
    """Has been answered: the first `covered` writes are on the medium."""

    covered: int


@dataclass(frozen=True, slots=True)
class Mark:
    """What the workload has to say: a JSON object."""

    text: str


Entry = Write | Flush | Mark


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """One run. `name` says of what."""

    name: str
    base: bytes
    entries: tuple[Entry, ...]

    def save(self, path: Path) -> None:
        parts = [_pack(0, 0, self.name.encode()), _pack(0, 0, self.base)]
        parts += (_encode(entry) for entry in self.entries)
        path.write_bytes(zlib.compress(b"".join(parts), 1))

    @classmethod
    def load(cls, path: Path) -> Self:
        parts = list(_unpack_all(zlib.decompress(path.read_bytes())))
        (_, _, name), (_, _, base) = parts[:2]
        entries = tuple(_decode(*part) for part in parts[2:])
        return cls(name=name.decode(), base=base, entries=entries)


@dataclass(slots=True)
class Recorder:
    """`DiskEvents` that become entries; knows writes beyond the file system for marks."""

    entries: list[Entry] = field(default_factory=list)
    _is_mark: list[bool] = field(default_factory=list)

    def write(self, offset: int, data: bytes) -> None:
        is_mark = offset >= FILE_SYSTEM_BYTES
        self._is_mark.append(is_mark)
        if is_mark:
            text = data.rstrip(b"\0").decode()
            json.loads(text)  # a torn one would be a fault of the recording
            self.entries.append(Mark(text))
        else:
            self.entries.append(Write(offset, data))

    def flush(self, covered: int) -> None:
        self.entries.append(Flush(self._is_mark[:covered].count(False)))


def _encode(entry: Entry) -> bytes:
    match entry:
        case Write(offset, data):
            return _pack(1, offset, data)
        case Flush(covered):
            return _pack(2, covered, b"")
        case Mark(text):
            return _pack(3, 0, text.encode())


def _decode(kind: int, number: int, data: bytes) -> Entry:
    if kind == 1:
        return Write(number, data)
    return Flush(number) if kind == 2 else Mark(data.decode())


def _pack(kind: int, number: int, data: bytes) -> bytes:
    return _HEADER.pack(kind, number, len(data)) + data


def _unpack_all(data: bytes) -> Iterator[tuple[int, int, bytes]]:
    at = 0
    while at < len(data):
        kind, number, size = _HEADER.unpack_from(data, at)
        at += _HEADER.size
        yield kind, number, data[at : at + size]
        at += size
