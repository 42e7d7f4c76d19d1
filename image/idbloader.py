"""The first part of a boot loader for RK3566: the closed memory start and U-Boot's first stage
behind one header, by which the boot ROM finds and checks them. Pure.

So that the memory start is all that a person has to bring. The same bytes as U-Boot's
`mkimage -n rk3568 -T rksd`. Source: U-Boot 2025.01, tools/rkcommon.c (header0_info_v2).

| what | offset | size |
|---|---|---|
| "RKNS" | 0 | 4 |
| length up to the last hash in 4-byte words, number of parts | 8 | 2, 2 |
| kind of hash: 1 is SHA-256 | 12 | 4 |
| a part's place and length, in sectors | 120 + 88 n | 2, 2 |
| its address: ffffffff, the one that it always has | +4 | 4 |
| its number, from 1 | +12 | 4 |
| its SHA-256 | +24 | 32 |
| SHA-256 of all that is before it | 1536 | 32 |
| the parts, each filled up with zeros to 2048 bytes | 2048 | |
"""

import hashlib
import struct
from typing import Final

from image.errors import BuildFailed

__all__ = ["encode_idbloader"]

_SECTOR: Final = 512
_ALIGNMENT: Final = 2048
_HEAD: Final = struct.Struct("<4s4xHHI")
_PARTS: Final = 120
_PART: Final = struct.Struct("<HHI4xI8x32s32x")
_HASH: Final = 1536
_SHA256: Final = 1
# The memory that the first program gets (rk3568 in rkcommon.c), and less than any has.
_FIRST_BYTES: Final = range(8192, 0x13000 + 1)
_FOREIGN: Final = (b"\x7fELF", b"\x1f\x8b", b"RKNS", b"LDR ", b"<!DO", b"<htm")


def encode_idbloader(memory_start: bytes, first_stage: bytes) -> bytes:
    """Args: memory_start: rk3566_ddr_*.bin; first_stage: u-boot-spl.bin.

    Raises: BuildFailed for what can't be one.
    """
    if len(memory_start) not in _FIRST_BYTES or memory_start.startswith(_FOREIGN):
        raise BuildFailed(
            f"--radxa-ddr is no memory start: {len(memory_start)} bytes that begin with"
            f" {memory_start[:4].hex()}; the right file is rk3566_ddr_1056MHz_v1.*.bin"
        )
    if b"U-Boot SPL" not in first_stage:
        raise BuildFailed("--radxa-spl is not U-Boot's first stage, u-boot-spl.bin")
    header = bytearray(_ALIGNMENT)
    parts = [_fill_up(data) for data in (memory_start, first_stage)]
    _HEAD.pack_into(header, 0, b"RKNS", _HASH // 4, len(parts), _SHA256)
    place = _ALIGNMENT
    for number, part in enumerate(parts):
        row = (place // _SECTOR, len(part) // _SECTOR, 0xFFFFFFFF, number + 1)
        offset = _PARTS + number * _PART.size
        _PART.pack_into(header, offset, *row, hashlib.sha256(part).digest())
        place += len(part)
    header[_HASH : _HASH + 32] = hashlib.sha256(header[:_HASH]).digest()
    return bytes(header) + b"".join(parts)


def _fill_up(data: bytes) -> bytes:
    return data + bytes(-len(data) % _ALIGNMENT)
