"""The boot loader of a Radxa Zero 3 (RK3566): checks what the user brings, and says where it goes.
Pure.

Its first part, which starts the memory, is closed: nobody may give it away with an image. The
vendor publishes it in the repository "rkbin". The boot ROM reads the first part at sector 64, that
one the second at 16384.

| what | at byte | begins with | ends before |
|---|---|---|---|
| idbloader: memory start and U-Boot's first stage | 32768 | "RKNS" | 8388608 |
| itb: U-Boot and TF-A, a flattened tree | 8388608 | d0 0d fe ed, its size u32 big-endian | 16 MiB |
| both in one file | 32768 | the second at 0x7f8000 of it | 16 MiB |
"""

import struct
from typing import Final

from image.errors import BuildFailed
from image.partitions import BOOT

__all__ = ["ADVICE", "check_loader", "split_loader"]

_FIRST: Final = 64 * 512
_SECOND: Final = 16384 * 512
_FIRST_MAGIC: Final = b"RKNS"
_TREE_MAGIC: Final = b"\xd0\x0d\xfe\xed"
_NEEDED: Final = (b"U-Boot", b"rk3566-radxa-zero-3w")
# What U-Boot's makefiles call TF-A, by version.
_FIRMWARE: Final = (b"ARM Trusted Firmware", b"atf", b"bl31")

ADVICE: Final = (
    "a Radxa Zero 3 needs a boot loader whose first part is closed, and which is not ours to give"
    " away: build U-Boot 2025.01 or newer (radxa-zero-3-rk3566_defconfig) with the memory start"
    " rk3566_ddr_1056MHz_v1.*.bin that the vendor publishes in the repository rockchip-linux/rkbin,"
    " then give u-boot-rockchip.bin as --radxa-uboot, or idbloader.img and u-boot.itb as"
    " --radxa-idbloader and --radxa-itb; or build U-Boot without it and give the memory start"
    " itself as --radxa-ddr, with u-boot-spl.bin and u-boot.itb as --radxa-spl and --radxa-itb."
    " --inspect builds an image without it, which does not start"
)


def split_loader(combined: bytes) -> tuple[bytes, bytes]:
    """Args: combined: u-boot-rockchip.bin. Raises: BuildFailed where it has no second part."""
    place = _SECOND - _FIRST
    if combined[place : place + 4] != _TREE_MAGIC:
        raise BuildFailed(f"--radxa-uboot has no U-Boot at {place:#x}: is it u-boot-rockchip.bin?")
    return combined[:place].rstrip(b"\0"), combined[place:]


def check_loader(first: bytes, second: bytes) -> dict[int, bytes]:
    """Returns what is to be written, by its place on the card.

    Args: first: idbloader; second: itb. Raises: BuildFailed that says what is wrong with which.
    """
    if not first.startswith(_FIRST_MAGIC):
        raise BuildFailed("the idbloader does not begin with RKNS: it is no loader for this board")
    if _FIRST + len(first) > _SECOND:
        raise BuildFailed(f"the idbloader is too long: {len(first)} bytes")
    if not second.startswith(_TREE_MAGIC) or len(second) < 8:
        raise BuildFailed("the itb does not begin with d00dfeed: it is no U-Boot image tree")
    (tree_size,) = struct.unpack_from(">I", second, 4)
    if tree_size > len(second):
        raise BuildFailed(f"the itb is cut: {len(second)} bytes of {tree_size} and more")
    if _SECOND + len(second) > BOOT.start:
        raise BuildFailed(f"the itb is too long: {len(second)} bytes")
    missing = [word.decode() for word in _NEEDED if word not in second]
    if not any(word in second for word in _FIRMWARE):
        missing.append("ARM Trusted Firmware")
    if missing:
        raise BuildFailed(f"the itb has no {' and no '.join(missing)}: it is for another board")
    return {_FIRST: first, _SECOND: second}
