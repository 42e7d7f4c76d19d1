"""The tables of docs/on-disk.md are what the code packs: no gap, no overlap, the same total."""

import re
from pathlib import Path

import pytest

from gadget.keychain import key_file, keystore_record, mark_record, throttle

_TEXT = (Path(__file__).parents[3] / "docs/on-disk.md").read_text()
_SECTION = re.compile(r"^### (.+?) \((\d+) bytes.*?\)$\n(.*?)(?=^#)", re.MULTILINE | re.DOTALL)
_ROW = re.compile(r"^\| (\d+) \| (\d+) \|", re.MULTILINE)
_TABLES = {name: (int(size), table) for name, size, table in _SECTION.findall(_TEXT)}
_SIZES = {
    "Keystore header": keystore_record._HEADER.size + 32,
    "Marks: block": mark_record.BLOCK_BYTES,
    "Marks: body": mark_record._BODY.size,
    "Marks: chain": mark_record._CHAIN.size,
    "Marks: mark": mark_record._MARK.size,
    "Exported key: header": key_file._HEADER.size,
    "Exported key: body": key_file._BODY.size,
    "Throttle": throttle.THROTTLE_BYTES,
}


def test_every_layout_has_its_table() -> None:
    assert set(_TABLES) == set(_SIZES)


@pytest.mark.parametrize("name", sorted(_SIZES))
def test_a_table_adds_up_to_what_the_code_packs(name: str) -> None:
    size, table = _TABLES[name]
    rows = [(int(offset), int(length)) for offset, length in _ROW.findall(table)]
    end = 0
    for offset, length in rows:
        assert offset == end
        end += length
    assert end == size == _SIZES[name]


def test_fixed_parts_lie_where_the_tables_say() -> None:
    assert mark_record._HEADER.size == 24
    assert mark_record._SEALED_AT == 36
    assert keystore_record._HEADER.size == 24
    assert throttle._LAYOUT.size == 68
