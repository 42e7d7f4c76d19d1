"""The initramfs: a cpio archive in the kernel's "newc" form, written without the cpio program.

Source: Documentation/driver-api/early-userspace/buffer-format.rst.

Header, 110 ASCII bytes; every number is 8 hexadecimal digits:
| offset | size | meaning |
|---|---|---|
| 0 | 6 | magic "070701" |
| 6 | 8 | inode number |
| 14 | 8 | mode |
| 22 | 16 | owner, group: 0 |
| 38 | 8 | number of links |
| 46 | 8 | time of change: 0 |
| 54 | 8 | size of the data |
| 62 | 32 | device numbers: 0 |
| 94 | 8 | size of the name with its zero byte |
| 102 | 8 | checksum: 0 |
The name follows, padded so that header and name fill a multiple of 4; then the data, padded
likewise.
"""

import stat
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

__all__ = ["Entry", "encode_archive"]

_ALIGNMENT = 4
_END = "TRAILER!!!"


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """One file, folder or symbolic link; its path has no leading slash."""

    path: str
    mode: int
    data: bytes = b""

    def __post_init__(self) -> None:
        """Refuses what the kernel would unpack to another place."""
        if self.path.startswith("/") or not self.path:
            raise ValueError(f"the path of an entry is relative, not {self.path!r}")

    @classmethod
    def folder(cls, path: str) -> Self:
        """A folder; it has to come before what is in it."""
        return cls(path=path, mode=stat.S_IFDIR | 0o755)

    @classmethod
    def file(cls, path: str, data: bytes, *, executable: bool = False) -> Self:
        """A plain file."""
        return cls(path=path, mode=stat.S_IFREG | (0o755 if executable else 0o644), data=data)

    @classmethod
    def link(cls, path: str, target: str) -> Self:
        """A symbolic link."""
        return cls(path=path, mode=stat.S_IFLNK | 0o777, data=target.encode())


def encode_archive(entries: Iterable[Entry]) -> bytes:
    """One archive; archives may be joined, later files replace earlier ones."""
    archive = bytearray()
    for inode, entry in enumerate(entries, start=1):
        archive += _encode_entry(entry, inode)
    archive += _encode_entry(Entry(path=_END, mode=0), 0)
    return bytes(archive)


def _encode_entry(entry: Entry, inode: int) -> bytes:
    name = entry.path.encode() + b"\0"
    fields = (inode, entry.mode, 0, 0, 1, 0, len(entry.data), 0, 0, 0, 0, len(name), 0)
    header = b"070701" + b"".join(b"%08X" % field for field in fields)
    return _pad(header + name) + _pad(entry.data)


def _pad(data: bytes) -> bytes:
    return data + bytes(-len(data) % _ALIGNMENT)
