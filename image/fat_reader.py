"""Reads the boot partition that `fat.py` writes: for checks and boots in QEMU. Pure."""

import struct
from collections.abc import Iterator

from image.errors import BadImage
from image.fat import SECTOR

__all__ = ["read_fat"]

_LONG = 0x0F
_FOLDER = 0x10
_LABEL = 0x08
_END = 0x0FFFFFF8


def read_fat(data: bytes) -> dict[str, bytes]:
    """Returns the files by path. Raises: BadImage where it is no FAT32 file system, or a damaged
    one.
    """
    if data[82:90] != b"FAT32   " or data[510:512] != b"\x55\xaa":
        raise BadImage("the boot partition is no FAT32 file system")
    try:
        return dict(_Reader(data).read_folder(struct.unpack_from("<I", data, 44)[0], ""))
    except (struct.error, IndexError, UnicodeDecodeError) as error:
        raise BadImage(f"the boot partition is damaged: {error}") from error


class _Reader:
    def __init__(self, data: bytes) -> None:
        self._data = data
        per_sector, self._per_cluster, reserved, tables = struct.unpack_from("<HBHB", data, 11)
        (sectors,) = struct.unpack_from("<I", data, 36)
        if per_sector != SECTOR:
            raise BadImage("the boot partition has sectors of another size")
        self._table = reserved * SECTOR
        self._first = (reserved + tables * sectors) * SECTOR

    def read_folder(self, cluster: int, path: str) -> Iterator[tuple[str, bytes]]:
        """Depth is bounded by the longest path that anyone could have made."""
        if path.count("/") > 8:
            raise BadImage("the boot partition's folders contain themselves")
        entries = self._read_chain(cluster)
        long = ""
        for place in range(0, len(entries), 32):
            entry = entries[place : place + 32]
            if entry[0] == 0:
                return
            if entry[11] == _LONG:
                text = entry[1:11] + entry[14:26] + entry[28:32]
                long = text.decode("utf-16-le").split("\0")[0] + long
                continue
            name, long = long or _read_short(entry), ""
            if entry[0] == 0xE5 or entry[11] & _LABEL or name in (".", ".."):
                continue
            high, low, size = struct.unpack_from("<H4xHI", entry, 20)
            first = high << 16 | low
            if entry[11] & _FOLDER:
                yield from self.read_folder(first, f"{path}{name}/")
            else:
                yield path + name, self._read_chain(first)[:size] if size else b""

    def _read_chain(self, cluster: int) -> bytes:
        content = bytearray()
        size = self._per_cluster * SECTOR
        while 2 <= cluster < _END:
            start = self._first + (cluster - 2) * size
            if start + size > len(self._data) or len(content) > len(self._data):
                raise BadImage("a file of the boot partition lies beyond its end")
            content += self._data[start : start + size]
            cluster = (
                struct.unpack_from("<I", self._data, self._table + cluster * 4)[0] & 0x0FFFFFFF
            )
        return bytes(content)


def _read_short(entry: bytes) -> str:
    stem, ending = entry[:8].decode().rstrip(), entry[8:11].decode().rstrip()
    return (f"{stem}.{ending}" if ending else stem).lower()
