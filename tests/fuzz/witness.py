"""The host's witness file: WitnessDamaged, or marks that are written and read again.

A checksum keeps chance out, so what is no whole file is tried as the list of marks of one.
"""

import json
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import cast

from host import witness_file
from host.errors import WitnessDamaged
from host.witness import Place, SeenMark
from host.witness_file import WitnessFile
from tezos.consensus import Kind

__all__ = ["one_input", "seeds"]


class _InMemory:
    """What `WitnessFile.load` needs of a path."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def open(self, mode: str) -> BytesIO:
        assert mode == "rb"
        return BytesIO(self._data)


def one_input(data: bytes) -> None:
    marks = _load(data if data.startswith(b"{") else _around(data))
    if marks is not None:
        assert _load(witness_file._encode(marks)) == marks


def _load(data: bytes) -> dict[Place, SeenMark] | None:
    try:
        return WitnessFile(cast("Path", _InMemory(data))).load()
    except WitnessDamaged:
        return None


def _around(entries: bytes) -> bytes:
    try:
        check = witness_file._check(json.loads(entries))
    except (ValueError, RecursionError):
        check = ""
    return b'{"format": 1, "check": "%b", "marks": %b}' % (check.encode(), entries)


def seeds() -> Iterator[bytes]:
    seen = {
        Place(address="tz4a", chain_id="NetXa", kind=Kind.ATTESTATION): SeenMark(
            level=7, round=1, payload_hash=bytes(range(32))
        ),
        Place(address="tz1b", chain_id="NetXa", kind=Kind.BLOCK): SeenMark(level=8, round=0),
    }
    for marks in ({}, seen):
        written = witness_file._encode(marks)
        yield written
        yield json.dumps(json.loads(written)["marks"]).encode()
    yield b"[" * 2000
    yield b'{"a":' * 400
    yield b'[{"address": "\\ud800", "chain": "", "kind": "block", "level": 1e3, "round": 0}]'
