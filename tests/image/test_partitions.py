"""The card's layout, which updates rely on for as long as there are cards."""

import itertools
import struct

import pytest

from image.errors import BadImage
from image.partitions import (
    APP,
    BOOT,
    DATA,
    DISK_ID,
    IMAGE_BYTES,
    LOG,
    MIB,
    ROOT,
    SECTOR,
    encode_tables,
    read_data_size,
)


def read_entries(sector: bytes) -> list[tuple[int, int, int]]:
    """Type, first sector, sectors."""
    assert sector[510:] == b"\x55\xaa"
    rows = [struct.unpack_from("<4xB3xII", sector, 446 + 16 * n) for n in range(4)]
    return [(kind, start, size) for kind, start, size in rows if kind]


def test_partitions_lie_one_behind_the_other() -> None:
    order = (BOOT, ROOT, APP, LOG, DATA)
    for before, after in itertools.pairwise(order):
        assert before.start + before.size <= after.start
    assert BOOT.start >= 16 * MIB  # the boot ROM of a Rockchip reads what is before it
    assert DATA.start + DATA.size == IMAGE_BYTES


def test_the_chain_of_tables_leads_to_all_of_them() -> None:
    tables = encode_tables()
    assert struct.unpack_from("<I", tables[0], 440)[0] == DISK_ID
    boot, root, extended, data = read_entries(tables[0])
    found = [boot, root, data]
    place = first = extended[1]
    while True:
        here, *following = read_entries(tables[place * SECTOR])
        found.append((here[0], place + here[1], here[2]))
        if not following:
            break
        place = first + following[0][1]
        assert place + following[0][2] == extended[1] + extended[2]
    wanted = [(p.kind, p.start // SECTOR, p.size // SECTOR) for p in (BOOT, ROOT, DATA, APP, LOG)]
    assert found == wanted


@pytest.mark.parametrize("size", [DATA.size, 32 * 1024 * MIB])
def test_a_grown_data_partition_is_ours(size: int) -> None:
    assert read_data_size(encode_tables(data_size=size)[0]) == size


@pytest.mark.parametrize("place", [440, 446 + 8, 446 + 16 + 12, 446 + 32 + 4, 446 + 48 + 8, 510])
def test_another_table_is_refused(place: int) -> None:
    table = bytearray(encode_tables()[0])
    table[place] ^= 1
    with pytest.raises(BadImage):
        read_data_size(bytes(table))


def test_a_data_partition_that_shrank_is_refused() -> None:
    with pytest.raises(BadImage):
        read_data_size(encode_tables(data_size=DATA.size - MIB)[0])
