"""Reads vectors: our own beside this file, and the shared ones where they exist. Typed access only.

The shared file lies beside the repository (shared/vectors/consensus.json) and is never copied into
it. Where it is missing the list is empty, so a test loops over it instead of being skipped.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

__all__ = ["Vector", "own_vectors", "shared_group", "shared_vectors"]

_OWN: Final = Path(__file__).parent / "vectors"
_SHARED: Final = Path(__file__).parents[3] / "shared" / "vectors" / "consensus.json"


@dataclass(frozen=True, slots=True)
class Vector:
    """One record of a vector file."""

    fields: Mapping[str, object]

    def __str__(self) -> str:
        return str(self.fields.get("name") or self.fields.get("id") or self.fields)

    def __contains__(self, name: str) -> bool:
        return self.fields.get(name) is not None

    def text(self, name: str) -> str:
        value = self.fields[name]
        assert isinstance(value, str)
        return value

    def data(self, name: str) -> bytes:
        return bytes.fromhex(self.text(name))

    def number(self, name: str) -> int:
        value = self.fields[name]
        assert isinstance(value, int)
        return value

    def texts(self, name: str) -> list[str]:
        value = self.fields[name]
        assert isinstance(value, list)
        return [str(item) for item in value]

    def children(self, name: str) -> list["Vector"]:
        return _as_vectors(self.fields.get(name, []))


def own_vectors(file_name: str) -> list[Vector]:
    """Returns the records of tests/tezos/vectors/`file_name`."""
    return Vector(json.loads((_OWN / file_name).read_text())).children("vectors")


def shared_vectors(*path: str) -> list[Vector]:
    """Returns the list at this path of the shared file: `shared_vectors("bls", "keys")`."""
    *groups, name = path
    return shared_group(*groups).children(name)


def shared_group(*path: str) -> Vector:
    """Returns the map at this path of the shared file; empty where there is no such file."""
    value = _read_shared()
    for name in path:
        value = value.get(name, {})  # type: ignore[assignment]  # checked on the next line
        assert isinstance(value, dict)
    return Vector(value)


@cache
def _read_shared() -> dict[str, object]:
    if not _SHARED.exists():
        return {}
    document = json.loads(_SHARED.read_text())
    assert isinstance(document, dict)
    return document


def _as_vectors(value: object) -> list[Vector]:
    assert isinstance(value, list)
    vectors = []
    for item in value:
        assert isinstance(item, dict)
        vectors.append(Vector(item))
    return vectors
