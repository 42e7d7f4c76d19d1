import inspect
import re
import struct

import pytest

from registrar import descriptors
from registrar.descriptors import (
    TEZSIGN_FUNCTION,
    Function,
    Interface,
    encode_descriptors,
    encode_strings,
)

ONE = Interface(name="one", in_address=0x81, out_address=0x02)


def cut_descriptors(data: bytes, count: int) -> tuple[list[bytes], bytes]:
    """Takes `count` USB descriptors off, each with its size in its first byte."""
    taken = []
    for _ in range(count):
        taken.append(data[: data[0]])
        data = data[data[0] :]
    return taken, data


def cut_os_features(data: bytes) -> list[bytes]:
    features = []
    while data:
        size = int.from_bytes(data[1:5], "little")
        features.append(data[:size])
        data = data[size:]
    return features


def split_block(data: bytes) -> tuple[list[bytes], list[bytes], list[bytes]]:
    """Reads the block as ffs_data_got_descs in f_fs.c does."""
    magic, length, flags, full, high, os_count = struct.unpack_from("<6I", data)
    assert (magic, length, flags) == (3, len(data), 0b1011)
    full_speed, rest = cut_descriptors(data[24:], full)
    high_speed, rest = cut_descriptors(rest, high)
    features = cut_os_features(rest)
    assert len(features) == os_count
    assert b"".join(features) == rest
    return full_speed, high_speed, features


@pytest.mark.parametrize(("speed", "packet"), [(0, "4000"), (1, "0002")])
def test_each_speed_has_both_interfaces_and_four_endpoints(speed: int, packet: str) -> None:
    found = split_block(encode_descriptors(TEZSIGN_FUNCTION))[speed]
    assert found == [
        bytes.fromhex("09 04 00 00 02 ff 00 00 01"),
        bytes.fromhex(f"07 05 81 02 {packet} 00"),
        bytes.fromhex(f"07 05 02 02 {packet} 00"),
        bytes.fromhex("09 04 01 00 02 ff 00 00 02"),
        bytes.fromhex(f"07 05 83 02 {packet} 00"),
        bytes.fromhex(f"07 05 04 02 {packet} 00"),
    ]


def test_windows_is_told_to_load_winusb_for_each_interface() -> None:
    compat, *_ = split_block(encode_descriptors(TEZSIGN_FUNCTION))[2]
    assert compat[:11] == bytes.fromhex("00 3b000000 0100 0400 02 00")
    entries = [compat[11:35], compat[35:]]
    assert entries == [bytes([n, 1]) + b"WINUSB".ljust(22, b"\0") for n in (0, 1)]


def test_windows_is_told_a_guid_for_each_interface() -> None:
    _, *properties = split_block(encode_descriptors(TEZSIGN_FUNCTION))[2]
    assert len(properties) == 2
    for number, data in enumerate(properties):
        assert data[0] == number
        assert data[5:11] == bytes.fromhex("0100 0500 0100")
        size, kind, name_bytes = struct.unpack_from("<IIH", data, 11)
        assert size == len(data) - 11 < 256
        assert kind == 1
        name, rest = data[21 : 21 + name_bytes], data[21 + name_bytes :]
        assert name == b"DeviceInterfaceGUID\0"
        assert int.from_bytes(rest[:4], "little") == len(rest) - 4
        assert re.fullmatch(rb"\{[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\}\0", rest[4:])


def test_strings_are_the_names_of_the_interfaces_in_english() -> None:
    data = encode_strings(TEZSIGN_FUNCTION)
    assert struct.unpack_from("<4IH", data) == (2, len(data), 2, 1, 0x0409)
    assert data[18:] == b"tezsign-0\0tezsign-1\0"


def test_block_grows_with_the_interfaces() -> None:
    one = encode_descriptors(Function(interfaces=(ONE,)))
    full_speed, high_speed, features = split_block(one)
    assert [len(part) for part in (full_speed, high_speed, features)] == [3, 3, 2]


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": ""},
        {"name": "a\0b"},
        {"in_address": 0x01},
        {"in_address": 0x80},
        {"out_address": 0x00},
        {"out_address": 0x82},
    ],
)
def test_wrong_interface_cannot_exist(wrong: dict[str, str | int]) -> None:
    right: dict[str, str | int] = {"name": "one", "in_address": 0x81, "out_address": 0x02}
    with pytest.raises(ValueError, match=r"interface|address"):
        Interface(**(right | wrong))  # type: ignore[arg-type]  # wrong on purpose


@pytest.mark.parametrize("interfaces", [(), (ONE, ONE)])
def test_function_without_endpoints_of_its_own_cannot_exist(
    interfaces: tuple[Interface, ...],
) -> None:
    with pytest.raises(ValueError, match="interfaces"):
        Function(interfaces=interfaces)


def test_each_table_total_is_the_size_of_its_struct() -> None:
    source = inspect.getsource(descriptors)
    totals = [
        int(total) for total in re.findall(r"^(?:#  |   ) (\d+) +total", source, re.MULTILINE)
    ]
    structs = re.findall(r'struct\.Struct\("(.+)"\)', source)
    assert totals == [struct.calcsize(layout) for layout in structs]
    assert len(totals) == 7
