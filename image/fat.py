"""Writes a FAT32 file system as bytes: the boot partition, which boot ROMs and firmware read. Pure.

Files lie in one piece, in the order of their names, with one time for all: the same files give the
same bytes. Source: Microsoft, FAT32 File System Specification 1.03; names as "long name" entries.

| boot sector offset | size | meaning |
|---|---|---|
| 0 | 11 | jump, name of the maker |
| 11 | 2, 1, 2, 1 | bytes a sector, sectors a cluster, reserved sectors, number of tables |
| 21 | 1 | medium |
| 24 | 2, 2, 4, 4 | sectors a track, heads, hidden sectors, all sectors |
| 36 | 4 | sectors of one table |
| 44 | 4, 2, 2 | cluster of the root folder, sector of FSInfo, sector of the spare boot sector |
| 64 | 1, 1, 1, 4, 11, 8 | drive, -, 0x29, serial number, label, "FAT32" |
| 510 | 2 | 55 aa |
"""

import struct
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final

from image.errors import BuildFailed

__all__ = ["CLUSTER", "RESERVED_SECTORS", "SECTOR", "choose_short_name", "encode_fat"]

SECTOR: Final = 512
CLUSTER: Final = 512
RESERVED_SECTORS: Final = 32
_TABLES: Final = 2
_ROOT: Final = 2
_END: Final = 0x0FFFFFFF
_FOLDER: Final = 0x10
_LONG: Final = 0x0F
_LABEL: Final = b"TEZSIGN    "


def encode_fat(files: Mapping[str, bytes], *, size_bytes: int, epoch_s: int, start: int) -> bytes:
    """Returns the used beginning of the file system; the rest of the partition is zeros.

    Args:
        files: by path, with "/" between folders.
        start: where the partition begins on the card, bytes.

    Raises:
        BuildFailed: they don't fit.
    """
    clusters, table_sectors = _measure(size_bytes)
    volume = _Volume(_encode_time(epoch_s))
    volume.add_folder("", files, parent=0)
    if volume.used > clusters:
        raise BuildFailed(f"the boot partition is too small for {len(volume.data)} bytes")
    table = b"".join(struct.pack("<I", entry) for entry in volume.table)
    table = table.ljust(table_sectors * SECTOR, b"\0")
    head = bytearray(RESERVED_SECTORS * SECTOR)
    boot = _encode_boot_sector(size_bytes // SECTOR, table_sectors, start // SECTOR)
    info = _encode_info(clusters - volume.used, volume.used + _ROOT)
    for place, sector in ((0, boot), (1, info), (6, boot), (7, info)):
        head[place * SECTOR : (place + 1) * SECTOR] = sector
    return bytes(head) + table * _TABLES + bytes(volume.data)


def _measure(size_bytes: int) -> tuple[int, int]:
    """Returns the number of clusters, and the sectors of one table."""
    sectors = size_bytes // SECTOR - RESERVED_SECTORS
    table_sectors = -(-(sectors + 2) * 4 // (SECTOR + _TABLES * 4))
    clusters = sectors - _TABLES * table_sectors
    if clusters < 65525:
        raise BuildFailed("a FAT32 file system has 65,525 clusters or more")
    return clusters, table_sectors


class _Volume:
    """The table and the clusters while they are being filled."""

    def __init__(self, time: bytes) -> None:
        self.table: list[int] = [0x0FFFFFF8, _END]
        self.data = bytearray()
        self._time = time

    @property
    def used(self) -> int:
        return len(self.table) - 2

    def add_folder(self, path: str, files: Mapping[str, bytes], *, parent: int) -> int:
        """Returns its first cluster; what is in it follows."""
        names = sorted(
            {name.removeprefix(path).split("/")[0] for name in files if name.startswith(path)}
        )
        folders = {n for n in names if any(f.startswith(f"{path}{n}/") for f in files)}
        here = self._reserve(self._measure_folder(names, is_root=not path) * 32)
        entries = bytearray()
        if path:
            entries += self._entry(b".          ", _FOLDER, here, 0)
            entries += self._entry(b"..         ", _FOLDER, parent, 0)
        else:
            entries += self._entry(_LABEL, 0x08, 0, 0)
        for index, name in enumerate(names):
            short = choose_short_name(name, index)
            entries += _encode_long_name(name, short)
            if name in folders:
                inside = self.add_folder(f"{path}{name}/", files, parent=here if path else 0)
                entries += self._entry(short, _FOLDER, inside, 0)
            else:
                content = files[path + name]
                first = self._add_file(content)
                entries += self._entry(short, 0x20, first, len(content))
        start = (here - _ROOT) * CLUSTER
        self.data[start : start + len(entries)] = entries
        return here

    def _add_file(self, content: bytes) -> int:
        if not content:
            return 0
        first = self._reserve(len(content))
        start = (first - _ROOT) * CLUSTER
        self.data[start : start + len(content)] = content
        return first

    def _reserve(self, size: int) -> int:
        count = max(1, -(-size // CLUSTER))
        first = len(self.table)
        self.table += [*range(first + 1, first + count), _END]
        self.data += bytes(count * CLUSTER)
        return first

    def _measure_folder(self, names: list[str], *, is_root: bool) -> int:
        own = 1 if is_root else 2
        # One entry more stays zero: the end of the folder.
        return own + sum(1 + -(-len(name) // 13) for name in names) + 1

    def _entry(self, short: bytes, attributes: int, cluster: int, size: int) -> bytes:
        high, low = cluster >> 16, cluster & 0xFFFF
        time, date = self._time[:2], self._time[2:]
        made = struct.pack("<11sBBB2s2s2s", short, attributes, 0, 0, time, date, date)
        return made + struct.pack("<H2s2sHI", high, time, date, low, size)


def choose_short_name(name: str, index: int) -> bytes:
    """The eight-and-three name that every file has: its own where that fits, else one with a
    number.
    """
    stem, _, ending = name.upper().partition(".")
    if name.count(".") < 2 and len(stem) <= 8 and len(ending) <= 3:
        return stem.ljust(8).encode() + ending.ljust(3).encode()
    return (
        f"F{index:03}~1".ljust(8).encode() + name.upper().rpartition(".")[2][:3].ljust(3).encode()
    )


def _encode_long_name(name: str, short: bytes) -> bytes:
    """The entries before the one with the short name, last part first."""
    check = 0
    for byte in short:
        check = ((check >> 1) | (check << 7 & 0xFF)) + byte & 0xFF
    parts = [name[place : place + 13] for place in range(0, len(name), 13)]
    entries = b""
    for number, part in reversed(list(enumerate(parts, start=1))):
        text = part.encode("utf-16-le")
        if len(part) < 13:
            text = (text + b"\0\0").ljust(26, b"\xff")
        order = number | (0x40 if number == len(parts) else 0)
        head = struct.pack("<B10sBBB", order, text[:10], _LONG, 0, check)
        entries += head + struct.pack("<12sH4s", text[10:22], 0, text[22:])
    return entries


def _encode_time(epoch_s: int) -> bytes:
    when = datetime.fromtimestamp(epoch_s, UTC)
    time = when.hour << 11 | when.minute << 5 | when.second // 2
    return struct.pack("<HH", time, when.year - 1980 << 9 | when.month << 5 | when.day)


def _encode_boot_sector(sectors: int, table_sectors: int, hidden: int) -> bytes:
    head = b"\xeb\x58\x90tezsign "
    head += struct.pack("<HBHB", SECTOR, CLUSTER // SECTOR, RESERVED_SECTORS, _TABLES)
    head += struct.pack("<HHBHHHII", 0, 0, 0xF8, 0, 63, 255, hidden, sectors)
    head += struct.pack("<IHHIHH12x", table_sectors, 0, 0, _ROOT, 1, 6)
    head += struct.pack("<BBBI11s8s", 0x80, 0, 0x29, 0x74657A73, _LABEL, b"FAT32   ")
    return head.ljust(510, b"\0") + b"\x55\xaa"


def _encode_info(free: int, following: int) -> bytes:
    head = b"RRaA".ljust(484, b"\0") + b"rrAa" + struct.pack("<II", free, following)
    return head.ljust(508, b"\0") + b"\0\0\x55\xaa"
