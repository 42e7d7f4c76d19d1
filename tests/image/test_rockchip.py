"""A boot loader that a user brings is the right one, whole, and goes to the right place."""

import struct

import pytest

from image.errors import BuildFailed
from image.rockchip import check_loader, split_loader

FIRST = b"RKNS" + bytes(200_000) + b"end"
WORDS = b"U-Boot 2025.01\0ARM Trusted Firmware\0rockchip/rk3566-radxa-zero-3w\0"
SECOND = b"\xd0\x0d\xfe\xed" + struct.pack(">I", 8 + len(WORDS)) + WORDS + bytes(1000)


def test_both_parts_go_where_the_boot_rom_looks() -> None:
    assert check_loader(FIRST, SECOND) == {32768: FIRST, 8388608: SECOND}


def test_one_file_with_both_is_taken_apart() -> None:
    combined = FIRST.ljust(0x7F8000, b"\xff").replace(b"\xff", b"\0") + SECOND
    assert split_loader(combined) == (FIRST, SECOND)
    with pytest.raises(BuildFailed, match="u-boot-rockchip"):
        split_loader(combined[1:])


@pytest.mark.parametrize(
    ("first", "second", "words"),
    [
        (b"RK33" + FIRST[4:], SECOND, "RKNS"),
        (FIRST.ljust(8_355_841, b"x"), SECOND, "too long"),
        (FIRST, b"\0" + SECOND, "d00dfeed"),
        (FIRST, SECOND[:40], "cut"),
        (FIRST, b"", "d00dfeed"),
        (FIRST, SECOND.ljust(8 * 1024 * 1024 + 1, b"x"), "too long"),
        (FIRST, SECOND.replace(b"rk3566-radxa-zero-3w", b"rk3588-rock-5b-------"), "another board"),
        (FIRST, SECOND.replace(b"ARM Trusted Firmware", b"x" * 20), "Trusted"),
    ],
)
def test_a_wrong_one_is_refused(first: bytes, second: bytes, words: str) -> None:
    with pytest.raises(BuildFailed, match=words):
        check_loader(first, second)


def test_the_longest_first_part_still_fits() -> None:
    assert check_loader(FIRST.ljust(8_355_840, b"x"), SECOND)
