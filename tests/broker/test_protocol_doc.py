"""docs/protocol.md says what the code does: numbers, frames, messages, error codes."""

import re
import types
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import get_args, get_origin, get_type_hints

import pytest

import broker.frame
from broker import contract, messages
from broker.frame import HEADER_BYTES, FrameType
from broker.messages import ErrorCode

TEXT = (Path(__file__).resolve().parents[2] / "docs" / "protocol.md").read_text()
SIMPLE = {str: "str", bytes: "bin", int: "int", bool: "bool"}


def table(heading: str) -> list[list[str]]:
    """The cells of the first table under a heading, without its two head lines."""
    section = TEXT.split(f"\n## {heading}\n", 1)[1].split("\n## ", 1)[0]
    rows = [line for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip().strip("`") for cell in row.strip("|").split("|")] for row in rows[2:]]


def wire_type(hint: object) -> str:
    if isinstance(hint, types.UnionType):
        (inner,) = (argument for argument in get_args(hint) if argument is not types.NoneType)
        return f"{wire_type(inner)} or nil"
    if get_origin(hint) is tuple:
        return f"array of {wire_type(get_args(hint)[0])}"
    if isinstance(hint, type) and is_dataclass(hint):
        return hint.__name__
    assert isinstance(hint, type)
    return SIMPLE[hint]


def described(kind: type) -> str:
    assert is_dataclass(kind)
    hints = get_type_hints(kind)
    listed = [f"{field.name}: {wire_type(hints[field.name])}" for field in fields(kind)]
    return ", ".join(listed) or "nothing"


def test_header_table_is_that_of_the_code() -> None:
    rows = table("Frames")
    assert sum(int(size) for _, size, *_ in rows if size.isdigit()) == HEADER_BYTES
    documented = [(offset, size) for offset, size, *_ in rows if size.isdigit()]
    assert broker.frame.__doc__ is not None
    in_code = re.findall(r"^\| (\d+) +\| (\d+) ", broker.frame.__doc__, re.MULTILINE)
    assert documented == in_code


def test_frame_types_are_those_of_the_code() -> None:
    documented = {int(code): name for code, name, _ in table("Frame types")}
    assert documented == {kind.value: kind.name.lower().replace("_", "-") for kind in FrameType}


@pytest.mark.parametrize("row", table("Numbers"), ids=lambda row: row[0])
def test_number_is_that_of_the_code(row: list[str]) -> None:
    name, value, _ = row
    assert float(value) == getattr(contract, name)


def test_requests_and_responses_are_those_of_the_code() -> None:
    responses = {kind.op: described(kind) for kind in get_args(messages.Response)}
    in_code = [
        [kind.op, described(kind), responses[kind.op]] for kind in get_args(messages.Request)
    ]
    assert table("Messages") == in_code


def test_parts_of_messages_are_those_of_the_code() -> None:
    parts = (
        messages.KeyStatus,
        messages.MarksStatus,
        messages.MarkStatus,
        messages.KeyOutcome,
        messages.KeyMarks,
        messages.ChainEntry,
        messages.MarkEntry,
        messages.Error,
    )
    assert table("Parts of messages") == [[part.__name__, described(part)] for part in parts]


def test_error_codes_are_those_of_the_code() -> None:
    documented = [[code, name] for code, name, _ in table("Error codes")]
    assert documented == [[str(code.value), code.name] for code in ErrorCode]
