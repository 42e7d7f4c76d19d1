"""Reads the files of an ext4 image without mounting it: no rights are needed, and it takes a
millisecond.

Only what mke2fs and the kernel make of a small disk: extents, linear folders, no links. Reads what
`e2fsck` has repaired and checks nothing itself; tests/crash/test_ext4.py holds it against debugfs,
`python -m tests.crash kernel` against the kernel. Source: Documentation/filesystems/ext4.
"""

import stat
from collections.abc import Iterator
from dataclasses import dataclass
from mmap import mmap
from struct import Struct, unpack_from
from typing import Final, NamedTuple

__all__ = ["BadImage", "Ext4"]

_SUPER_AT: Final = 1024
_ROOT_INODE: Final = 2
_EXTENT_HEADER: Final = Struct("<HHHHI")
_EXTENT: Final = Struct("<IHHI")
_INDEX: Final = Struct("<IIHH")
_EXTENT_MAGIC: Final = 0xF30A
_UNWRITTEN: Final = 32768  # a length above this: so many blocks less, which read as zeros
_DIRECTORY_ENTRY: Final = Struct("<IHBB")
_INODE_BYTES: Final = 160


class BadImage(Exception):
    """This is no file system that we can read."""


class Extent(NamedTuple):
    """Blocks of a file, in the file and on the disk."""

    first: int
    blocks: int
    start: int
    is_written: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Ext4:
    """An image in memory. Made by `open`."""

    image: bytes | mmap
    block_bytes: int
    inodes_per_group: int
    inode_bytes: int
    descriptor_bytes: int

    @classmethod
    def open(cls, image: bytes | mmap) -> "Ext4":
        """Raises: BadImage."""
        (magic,) = unpack_from("<H", image, _SUPER_AT + 56)
        if magic != 0xEF53:
            raise BadImage("no ext4 super block")
        (log_block,) = unpack_from("<I", image, _SUPER_AT + 24)
        (per_group,) = unpack_from("<I", image, _SUPER_AT + 40)
        (inode_bytes,) = unpack_from("<H", image, _SUPER_AT + 88)
        (descriptor_bytes,) = unpack_from("<H", image, _SUPER_AT + 254)
        return cls(
            image=image,
            block_bytes=1024 << log_block,
            inodes_per_group=per_group,
            inode_bytes=inode_bytes,
            descriptor_bytes=max(32, descriptor_bytes),
        )

    def read_files(self, folder: str) -> dict[str, bytes]:
        """The files below that folder, by their path from there; none where it isn't there."""
        entries = self._list(_ROOT_INODE)
        for name in folder.split("/"):
            if name not in entries:
                return {}
            entries = self._list(entries[name])
        return dict(self._walk(entries, ""))

    def extents(self, number: int) -> Iterator[Extent]:
        yield from self._extents(self._inode(number), 40)

    def _walk(self, entries: dict[str, int], prefix: str) -> Iterator[tuple[str, bytes]]:
        for name, number in sorted(entries.items()):
            (mode,) = unpack_from("<H", self._inode(number))
            if stat.S_ISDIR(mode):
                yield from self._walk(self._list(number), f"{prefix}{name}/")
            else:
                yield prefix + name, self._read(number)

    def _list(self, number: int) -> dict[str, int]:
        data = self._read(number)
        entries = {}
        at = 0
        while at < len(data):
            inode, size, name_size, _ = _DIRECTORY_ENTRY.unpack_from(data, at)
            if size < _DIRECTORY_ENTRY.size:
                raise BadImage("damaged folder")
            if inode:
                name = data[at + 8 : at + 8 + name_size].decode()
                entries[name] = inode
            at += size
        return {name: inode for name, inode in entries.items() if name not in (".", "..")}

    def _read(self, number: int) -> bytes:
        inode = self._inode(number)
        low, high = unpack_from("<I", inode, 4)[0], unpack_from("<I", inode, 108)[0]
        size = low | high << 32
        data = bytearray(size)
        for extent in self._extents(inode, 40):
            if extent.is_written:
                at = extent.first * self.block_bytes
                count = min(extent.blocks * self.block_bytes, size - at)
                start = extent.start * self.block_bytes
                data[at : at + count] = self.image[start : start + count]
        return bytes(data)

    def _inode(self, number: int) -> bytes:
        group, index = divmod(number - 1, self.inodes_per_group)
        descriptors = (_SUPER_AT // self.block_bytes + 1) * self.block_bytes
        (table,) = unpack_from("<I", self.image, descriptors + group * self.descriptor_bytes + 8)
        at = table * self.block_bytes + index * self.inode_bytes
        return bytes(self.image[at : at + _INODE_BYTES])

    def _extents(self, node: bytes, at: int) -> Iterator[Extent]:
        magic, count, _, depth, _ = _EXTENT_HEADER.unpack_from(node, at)
        if magic != _EXTENT_MAGIC:
            raise BadImage("a file without extents")
        for entry in range(at + 12, at + 12 + 12 * count, 12):
            if depth:
                _, low, high, _ = _INDEX.unpack_from(node, entry)
                start = (low | high << 32) * self.block_bytes
                yield from self._extents(bytes(self.image[start : start + self.block_bytes]), 0)
                continue
            first, length, high, low = _EXTENT.unpack_from(node, entry)
            is_written = length <= _UNWRITTEN
            blocks = length if is_written else length - _UNWRITTEN
            yield Extent(first, blocks, low | high << 32, is_written)
