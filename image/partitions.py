"""Where everything lies on the card, and the partition table that says so. Pure.

The places are fixed for good: an update replaces contents and never moves /data, which is last so
that it can grow to the end of the card. MBR, since every boot ROM of the boards reads it; its third
entry is an extended partition that holds /app and the log.

| MiB | size | what |
|---|---|---|
| 0 | 16 | partition table, our record (`record.py`), room for a boot loader (Radxa) |
| 16 | 64 | 1: boot, FAT32 |
| 80 | 64 | 2: root, erofs |
| 144 | 64 | 5: /app, erofs; its table is in the MiB before it |
| 208 | 64 | 6: log, ext4; likewise |
| 272 | 16 and more | 4: /data, ext4 |

| table offset | size | meaning |
|---|---|---|
| 440 | 4 | identifier of the disk |
| 446 | 4 x 16 | entries: flag u8, 3 bytes, type u8, 3 bytes, first sector u32, sectors u32 |
| 510 | 2 | 55 aa |
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from image.errors import BadImage

__all__ = [
    "APP",
    "BOOT",
    "DATA",
    "DISK_ID",
    "FIXED",
    "IMAGE_BYTES",
    "LAYOUT",
    "LOG",
    "MIB",
    "ROOT",
    "SECTOR",
    "Partition",
    "encode_tables",
    "read_data_size",
]

MIB: Final = 1024 * 1024
SECTOR: Final = 512
# Linux names partitions after it ("74657a73-02"), so that the card is found whatever else is
# plugged in.
DISK_ID: Final = 0x74657A73  # "tezs"
LAYOUT: Final = 1
_EXTENDED: Final = 0x0F
_OLD: Final = b"\xfe\xff\xff"  # cylinder, head, sector: out of their range


@dataclass(frozen=True, kw_only=True, slots=True)
class Partition:
    """Args: number: as Linux counts; start, size: bytes; kind: the table's type."""

    name: str
    number: int
    start: int
    size: int
    kind: int

    @property
    def label(self) -> str:
        """PARTUUID."""
        return f"{DISK_ID:08x}-{self.number:02}"


BOOT: Final = Partition(name="boot", number=1, start=16 * MIB, size=64 * MIB, kind=0x0C)
ROOT: Final = Partition(name="root", number=2, start=80 * MIB, size=64 * MIB, kind=0x83)
APP: Final = Partition(name="app", number=5, start=145 * MIB, size=63 * MIB, kind=0x83)
LOG: Final = Partition(name="log", number=6, start=209 * MIB, size=63 * MIB, kind=0x83)
DATA: Final = Partition(name="data", number=4, start=272 * MIB, size=16 * MIB, kind=0x83)
# What an update replaces, and a running board never writes.
FIXED: Final = (BOOT, ROOT, APP)
IMAGE_BYTES: Final = DATA.start + DATA.size
_EXTENDED_START: Final = APP.start - MIB
_DATA_ENTRY: Final = 446 + 3 * 16


def encode_tables(*, data_size: int = DATA.size) -> dict[int, bytes]:
    """Returns the sectors of the table and of its extension, by their place in bytes."""
    extended = _entry(_EXTENDED, _EXTENDED_START, DATA.start - _EXTENDED_START)
    main = (_describe(BOOT), _describe(ROOT), extended, _entry(DATA.kind, DATA.start, data_size))
    # In an extension the first entry counts from its own sector, the second from the first
    # extension.
    second = LOG.start - MIB
    following = _entry(_EXTENDED, second - _EXTENDED_START, DATA.start - second)
    return {
        0: _encode_table(main, DISK_ID),
        _EXTENDED_START: _encode_table((_entry(APP.kind, MIB, APP.size), following)),
        second: _encode_table((_entry(LOG.kind, MIB, LOG.size),)),
    }


def read_data_size(table: bytes) -> int:
    """Returns the size of /data, which has grown to its card.

    Args: table: the first sector. Raises: BadImage where anything else in it is not as we make it.
    """
    if len(table) != SECTOR:
        raise BadImage("there is no partition table")
    size = int(struct.unpack_from("<I", table, _DATA_ENTRY + 12)[0]) * SECTOR
    if size < DATA.size or encode_tables(data_size=size)[0] != table:
        raise BadImage("the partition table is not one of this layout")
    return size


def _describe(partition: Partition) -> bytes:
    return _entry(partition.kind, partition.start, partition.size)


def _entry(kind: int, start: int, size: int) -> bytes:
    return struct.pack("<B3sB3sII", 0, _OLD, kind, _OLD, start // SECTOR, size // SECTOR)


def _encode_table(entries: Sequence[bytes], identifier: int = 0) -> bytes:
    table = bytearray(SECTOR)
    struct.pack_into("<I", table, 440, identifier)
    table[446:510] = b"".join(entries).ljust(64, b"\0")
    table[510:] = b"\x55\xaa"
    return bytes(table)
