"""Lists an erofs file system with owners and modes, which unpacking without root loses. Pure.

Contents are not read here: they are compressed. Source: Linux, fs/erofs/erofs_fs.h (6.12).

| superblock, at 1024 | offset | size |
|---|---|---|
| magic e0f5e1e2 | 0 | 4 |
| block size, log2 | 12 | 1 |
| root's inode number | 14 | 2 |
| first block of inodes | 40 | 4 |

| inode, at that block + 32 x its number | short form | long form |
|---|---|---|
| form: bit 0 long; bits 1-3 where the data is | 0, 2 | 0, 2 |
| extended attributes | 2, 2 | 2, 2 |
| mode | 4, 2 | 4, 2 |
| size | 8, 4 | 8, 8 |
| first block | 16, 4 | 16, 4 |
| owner, group | 24, 2 and 26, 2 | 24, 4 and 28, 4 |
| length of the inode | 32 | 64 |

A folder's block begins with entries of 12 bytes (inode u64, place of the name u16, type u8, u8),
the first name lies behind the last entry.
"""

import stat
import struct
from collections.abc import Iterator
from dataclasses import dataclass

from image.errors import BadImage

__all__ = ["ErofsFile", "list_erofs"]

_SUPERBLOCK = 1024
_MAGIC = 0xE0F5E1E2
_PLAIN, _INLINE = 0, 2
_DEEP = 32


@dataclass(frozen=True, kw_only=True, slots=True)
class ErofsFile:
    """Args: path: without a slash at its start; "" is the root. size: bytes."""

    path: str
    mode: int
    owner: int
    group: int
    size: int


def list_erofs(data: bytes) -> dict[str, ErofsFile]:
    """Returns everything by path. Raises: BadImage where it is no erofs, or a damaged one."""
    try:
        if struct.unpack_from("<I", data, _SUPERBLOCK)[0] != _MAGIC:
            raise BadImage("a partition that should be erofs is not")
        reader = _Reader(data)
        return {file.path: file for file in reader.walk(reader.root, "", 0)}
    except (struct.error, ValueError) as error:
        raise BadImage(f"an erofs file system is damaged: {error}") from error


class _Reader:
    def __init__(self, data: bytes) -> None:
        self._data = data
        self._block = 1 << data[_SUPERBLOCK + 12]
        (self.root,) = struct.unpack_from("<H", data, _SUPERBLOCK + 14)
        (self._inodes,) = struct.unpack_from("<I", data, _SUPERBLOCK + 40)

    def walk(self, number: int, path: str, depth: int) -> Iterator[ErofsFile]:
        """A file, and what is in it where it is a folder."""
        place = self._inodes * self._block + number * 32
        form, attributes, mode = struct.unpack_from("<HHH", self._data, place)
        if form & 1:
            (size,) = struct.unpack_from("<Q", self._data, place + 8)
            owner, group = struct.unpack_from("<II", self._data, place + 24)
        else:
            (size,) = struct.unpack_from("<I", self._data, place + 8)
            owner, group = struct.unpack_from("<HH", self._data, place + 24)
        yield ErofsFile(path=path, mode=mode, owner=owner, group=group, size=size)
        if stat.S_ISDIR(mode):
            if depth > _DEEP:
                raise BadImage("an erofs file system has folders that contain themselves")
            end = (
                place + (64 if form & 1 else 32) + (12 + 4 * (attributes - 1) if attributes else 0)
            )
            content = self._read_folder(form >> 1 & 7, place, size, end)
            for inside, name in self._entries(content):
                if name not in (".", ".."):
                    yield from self.walk(inside, f"{path}/{name}".lstrip("/"), depth + 1)

    def _read_folder(self, layout: int, place: int, size: int, end: int) -> bytes:
        (first,) = struct.unpack_from("<I", self._data, place + 16)
        if layout == _PLAIN:
            return self._data[first * self._block : first * self._block + size]
        if layout != _INLINE:
            raise BadImage("an erofs file system has a folder in an unknown form")
        whole = size // self._block * self._block
        start = first * self._block
        return self._data[start : start + whole] + self._data[end : end + size - whole]

    def _entries(self, content: bytes) -> Iterator[tuple[int, str]]:
        for start in range(0, len(content), self._block):
            block = content[start : start + self._block]
            (names,) = struct.unpack_from("<H", block, 8)
            rows = [struct.unpack_from("<QH", block, 12 * n) for n in range(names // 12)]
            ends = [place for _, place in rows[1:]] + [len(block)]
            for (number, place), end in zip(rows, ends, strict=True):
                yield number, block[place:end].split(b"\0")[0].decode()
