"""Reads the plain files of a "newc" archive as `cpio.py` writes it. Pure."""

from image.errors import BadImage

__all__ = ["read_archive"]

_MAGIC = b"070701"
_HEADER = 110
_REGULAR = 0o100000


def read_archive(data: bytes) -> dict[str, bytes]:
    """Returns contents by path, in the archive's order. Raises: BadImage for a damaged one."""
    files: dict[str, bytes] = {}
    place = 0
    while True:
        if data[place : place + 6] != _MAGIC:
            raise BadImage("the initramfs is damaged")
        fields = [int(data[place + 6 + 8 * n : place + 14 + 8 * n], 16) for n in range(13)]
        mode, size, name_size = fields[1], fields[6], fields[11]
        name = data[place + _HEADER : place + _HEADER + name_size - 1].decode()
        start = _align(place + _HEADER + name_size)
        if name == "TRAILER!!!":
            return files
        if mode & 0o170000 == _REGULAR:
            files[name] = data[start : start + size]
        place = _align(start + size)


def _align(place: int) -> int:
    return (place + 3) // 4 * 4
