"""Which code a kept result was made with."""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Final

__all__ = ["fingerprint"]

_PROJECT: Final = Path(__file__).resolve().parents[1]


def fingerprint(places: Sequence[str], project: Path = _PROJECT) -> str:
    """A digest of these files of the project, and of all in these folders but compiled ones."""
    digest = hashlib.sha256()
    for place in places:
        for path in sorted([project / place, *(project / place).rglob("*")]):
            if path.is_file() and path.suffix != ".pyc":
                name = str(path.relative_to(project)).encode()
                content = hashlib.sha256(path.read_bytes()).digest()
                digest.update(len(name).to_bytes(4, "big") + name + content)
    return digest.hexdigest()
