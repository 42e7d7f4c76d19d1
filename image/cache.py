"""The folder in which downloads and what is costly to make are kept, named by what they are made
from.

Everything gets its name by a rename, so a reader needs no lock; two builds at once do some work
twice.
"""

import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from image.errors import BuildFailed

__all__ = ["find_folder", "hash_file", "name_content", "open_cache"]


def open_cache() -> Path:
    """Finds the folder by the XDG rule and makes it."""
    folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "tezsign-image"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BuildFailed(f"no cache folder at {folder} ({error}); set XDG_CACHE_HOME") from error
    return folder


def find_folder(cache: Path, name: str, fill: Callable[[Path], None]) -> Path:
    """The folder of that name; where there is none, `fill` gets an empty one, which becomes it."""
    place = cache / name
    if place.exists():
        return place
    with tempfile.TemporaryDirectory(prefix=f".{name}.", dir=cache) as draft:
        filled = Path(draft) / "draft"
        filled.mkdir()
        fill(filled)
        try:
            filled.rename(place)
        except OSError:
            if not place.exists():  # another build was not faster, so this is a real fault
                raise
            shutil.rmtree(filled, ignore_errors=True)
    return place


def name_content(*parts: bytes) -> str:
    """A short name that differs when any of the parts does."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(len(part).to_bytes(8, "big") + part)
    return digest.hexdigest()[:16]


def hash_file(path: Path) -> str:
    """SHA-256, in hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
