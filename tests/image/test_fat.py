"""The boot partition reads back as it was written; Linux reads it too, in test_boot.py."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from image.errors import BadImage, BuildFailed
from image.fat import choose_short_name, encode_fat
from image.fat_reader import read_fat

SIZE = 40 * 1024 * 1024
EPOCH = 1_700_000_000

NAMES = st.from_regex(r"[a-z0-9][a-z0-9._-]{0,30}[a-z0-9]", fullmatch=True)
PATHS = st.builds("/".join, st.lists(NAMES, min_size=1, max_size=3))


def encode(files: dict[str, bytes]) -> bytes:
    return encode_fat(files, size_bytes=SIZE, epoch_s=EPOCH, start=16 * 1024 * 1024)


@settings(max_examples=25, deadline=None)
@given(st.dictionaries(PATHS, st.binary(max_size=2000), max_size=8))
def test_files_read_back(files: dict[str, bytes]) -> None:
    folders = {path[: place + 1] for path in files for place, c in enumerate(path) if c == "/"}
    files = {path: data for path, data in files.items() if f"{path}/" not in folders}
    assert read_fat(encode(files)) == files


@pytest.mark.parametrize("size", [0, 1, 511, 512, 513, 100_000])
def test_a_file_of_any_size_ends_where_it_ends(size: int) -> None:
    files = {"kernel8.img": bytes(range(256)) * (size // 256) + b"x" * (size % 256), "z": b"end"}
    assert read_fat(encode(files)) == files


def test_the_same_files_in_another_order_give_the_same_bytes() -> None:
    assert encode({"a": b"1", "b/c": b"2"}) == encode({"b/c": b"2", "a": b"1"})


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(BuildFailed, match="too small"):
        encode({"kernel8.img": bytes(SIZE)})


def test_a_size_that_would_be_another_kind_of_fat_is_refused() -> None:
    with pytest.raises(BuildFailed, match="65,525"):
        encode_fat({}, size_bytes=16 * 1024 * 1024, epoch_s=EPOCH, start=0)


def test_firmware_keeps_its_short_name() -> None:
    assert choose_short_name("start4.elf", 3) == b"START4  ELF"
    assert choose_short_name("bootcode.bin", 0) == b"BOOTCODEBIN"
    assert choose_short_name("extlinux.conf", 7) == b"F007~1  CON"


@pytest.mark.parametrize("place", [82, 510])
def test_another_file_system_is_refused(place: int) -> None:
    data = bytearray(encode({"a": b"1"}))
    data[place] ^= 1
    with pytest.raises(BadImage):
        read_fat(bytes(data))


def test_a_cut_file_system_is_refused() -> None:
    data = encode({"a": bytes(10_000)})
    with pytest.raises(BadImage):
        read_fat(data[:-5000])
