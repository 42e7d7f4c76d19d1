"""The hash by which a board tells which image it runs, in /app/.image-hash and in the card's
record.

It is of all that runs: boot and root partition, and the files of /app; not of the file that holds
it, so it is no hash of the image file. That one is in FILE.sha256.
"""

import hashlib
from collections.abc import Mapping
from pathlib import Path

from image.cache import hash_file

__all__ = ["hash_image"]


def hash_image(partitions: Mapping[str, str], app: Path) -> str:
    """Args: partitions: SHA-256 by name; app: the folder, with or without its notes."""
    digest = hashlib.sha256()
    for name in ("boot", "root"):
        digest.update(f"{partitions[name]} {name}\n".encode())
    for path in sorted(path for path in app.rglob("*") if path.is_file()):
        if not path.name.startswith(".image-"):
            digest.update(f"{hash_file(path)} app/{path.relative_to(app)}\n".encode())
    return digest.hexdigest()
