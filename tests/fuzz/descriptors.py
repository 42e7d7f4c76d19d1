"""Descriptors of any function that may be made: the kernel's walk over them ends where they end.

The input is one interface after the other: its two addresses, the size of its name, the name.
Source of the walk: ffs_do_descs, ffs_do_os_descs and __ffs_data_got_strings in f_fs.c.
"""

from collections.abc import Iterator
from struct import unpack_from

from registrar.descriptors import (
    TEZSIGN_FUNCTION,
    Function,
    Interface,
    encode_descriptors,
    encode_strings,
)

__all__ = ["one_input", "seeds"]

_SPEEDS = 2
_INTERFACE, _ENDPOINT = 4, 5


def one_input(data: bytes) -> None:
    try:
        function = Function(interfaces=tuple(_read_interfaces(data)))
    except ValueError:
        return
    _walk_descriptors(encode_descriptors(function), function)
    _walk_strings(encode_strings(function), function)


def _read_interfaces(data: bytes) -> Iterator[Interface]:
    while len(data) >= 3:
        in_address, out_address, size = data[:3]
        name = data[3 : 3 + size].decode(errors="replace")
        yield Interface(name=name, in_address=in_address, out_address=out_address)
        data = data[3 + size :]


def _walk_descriptors(block: bytes, function: Function) -> None:
    magic, size, flags, *counts = unpack_from("<6I", block)
    assert (magic, size, flags) == (3, len(block), 1 | 2 | 8)
    interfaces, at = function.interfaces, 24
    for speed in range(_SPEEDS):
        assert counts[speed] == 3 * len(interfaces)
        seen = list[int]()
        for _ in range(counts[speed]):
            length, kind, value = block[at : at + 3]
            assert (kind, length) in ((_INTERFACE, 9), (_ENDPOINT, 7))
            seen += [value]  # bInterfaceNumber or bEndpointAddress
            at += length
        assert seen == [
            v for n, i in enumerate(interfaces) for v in (n, i.in_address, i.out_address)
        ]
    for number in range(counts[_SPEEDS]):
        interface, length, version, index, _ = unpack_from("<BIHHH", block, at)
        assert interface < len(interfaces)
        assert (version, index) == (1, 4 if number == 0 else 5)
        at += length
    assert at == len(block)


def _walk_strings(block: bytes, function: Function) -> None:
    magic, size, count, languages, language = unpack_from("<4IH", block)
    assert (magic, size, languages, language) == (2, len(block), 1, 0x0409)
    *names, rest = block[18:].split(b"\0")
    assert rest == b""
    assert [name.decode() for name in names] == [each.name for each in function.interfaces]
    assert len(names) == count


def _describe(function: Function) -> bytes:
    return b"".join(
        bytes([each.in_address, each.out_address, len(each.name)]) + each.name.encode()
        for each in function.interfaces
    )


def seeds() -> Iterator[bytes]:
    yield _describe(TEZSIGN_FUNCTION)
    yield b"".join(bytes([0x80 + n, n, 1]) + b"n" for n in range(1, 16))
    yield b"\x81\x02\x02\xff\xff"
    yield b"\x81\x02\x02a\0"
