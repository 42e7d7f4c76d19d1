"""Which libraries a program needs: the NEEDED entries of a 64-bit little-endian ELF file. Pure.

Source: ELF-64 Object File Format 1.5, sections 1, 6 and 8.

| structure | field | offset | size |
|---|---|---|---|
| file header | magic, class, byte order | 0 | 6 |
| file header | program headers: offset in the file | 32 | 8 |
| file header | program headers: size of one, number | 54 | 4 |
| program header | type | 0 | 4 |
| program header | offset in the file, address, physical address, size in the file | 8 | 32 |
| dynamic entry | tag, value | 0 | 16 |
"""

import struct

__all__ = ["find_needed"]

_MAGIC = b"\x7fELF\x02\x01"
_PT_LOAD = 1
_PT_DYNAMIC = 2
_DT_NEEDED = 1
_DT_STRTAB = 5


def find_needed(data: bytes) -> tuple[str, ...]:
    """Names of shared libraries; none for what is no ELF file or is static."""
    if not data.startswith(_MAGIC):
        return ()
    (table,) = struct.unpack_from("<Q", data, 32)
    size, count = struct.unpack_from("<HH", data, 54)
    segments = []
    for index in range(count):
        (kind,) = struct.unpack_from("<I", data, table + index * size)
        segments.append((kind, *struct.unpack_from("<QQQQ", data, table + index * size + 8)))
    dynamic = [(offset, length) for kind, offset, _, _, length in segments if kind == _PT_DYNAMIC]
    entries = [
        struct.unpack_from("<QQ", data, place)
        for offset, length in dynamic
        for place in range(offset, offset + length, 16)
    ]
    strings = [value for tag, value in entries if tag == _DT_STRTAB]
    if not strings:
        return ()
    start = next(
        strings[0] - address + offset
        for kind, offset, address, _, length in segments
        if kind == _PT_LOAD and address <= strings[0] < address + length
    )
    return tuple(_read_name(data, start + value) for tag, value in entries if tag == _DT_NEEDED)


def _read_name(data: bytes, place: int) -> str:
    return data[place : data.index(b"\0", place)].decode()
