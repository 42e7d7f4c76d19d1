"""Every field of the health report with its type, read off the dataclasses."""

import types
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from typing import Final, get_args, get_origin, get_type_hints

from gadget.health.report import Report

__all__ = ["FIELDS"]

_SIMPLE: Final = {str: "text", int: "whole number", float: "number", bool: "true or false"}


def _walk(kind: type, prefix: str) -> Iterator[tuple[str, str]]:
    assert is_dataclass(kind)
    hints = get_type_hints(kind)
    for field in fields(kind):
        yield from _field(f"{prefix}{field.name}", hints[field.name], "")


def _field(path: str, hint: object, suffix: str) -> Iterator[tuple[str, str]]:
    if isinstance(hint, types.UnionType):
        (inner,) = (argument for argument in get_args(hint) if argument is not types.NoneType)
        yield from _field(path, inner, " or null")
    elif get_origin(hint) is tuple:
        yield from _field(f"{path}[]", get_args(hint)[0], suffix)
    elif isinstance(hint, type) and is_dataclass(hint):
        if suffix:
            yield path, f"object{suffix}"
        yield from _walk(hint, f"{path}.")
    else:
        assert isinstance(hint, type)
        yield path, f"{_SIMPLE[hint]}{suffix}"


FIELDS: Final = tuple(_walk(Report, ""))
