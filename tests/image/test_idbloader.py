"""A boot loader's first part is what U-Boot's own mkimage makes of the same two programs."""

import hashlib

import pytest

from image.errors import BuildFailed
from image.idbloader import encode_idbloader
from image.rockchip import check_loader
from tests.image.test_rockchip import SECOND

MEMORY_START = bytes(range(256)) * 230 + b"DDR V1.13 tail"
FIRST_STAGE = b"U-Boot SPL " + bytes(i * 7 % 251 for i in range(138214))
# mkimage of Debian's u-boot-tools 2023.01+dfsg-2+deb12u3, with these as ddr.bin and spl.bin:
# mkimage -n rk3568 -T rksd -d ddr.bin:spl.bin id.img; sha256sum id.img
MKIMAGE = "77ab6b888871bdfb881396d490a0717ab6e6c2c3ff4f7f9a9a62bd90c9694b7f"


def test_it_is_what_mkimage_makes() -> None:
    made = encode_idbloader(MEMORY_START, FIRST_STAGE)
    assert hashlib.sha256(made).hexdigest() == MKIMAGE
    assert check_loader(made, SECOND) == {32768: made, 8388608: SECOND}


@pytest.mark.parametrize(
    ("memory_start", "first_stage", "words"),
    [
        (bytes(0x13001), FIRST_STAGE, "memory start"),
        (b"404 not found", FIRST_STAGE, "memory start"),
        (b"\x7fELF" + MEMORY_START, FIRST_STAGE, "memory start"),
        (b"RKNS" + MEMORY_START, FIRST_STAGE, "memory start"),
        (MEMORY_START, MEMORY_START, "first stage"),
    ],
)
def test_what_can_t_be_one_is_refused(memory_start: bytes, first_stage: bytes, words: str) -> None:
    with pytest.raises(BuildFailed, match=words):
        encode_idbloader(memory_start, first_stage)


def test_the_largest_memory_start_is_taken() -> None:
    assert len(encode_idbloader(bytes(0x13000), FIRST_STAGE)) == 2048 + 0x13000 + 139264
