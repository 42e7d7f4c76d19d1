"""What an image and a card say of themselves to `verify` and `update`: two blocks before the
partitions. Pure.

| offset in the block | size | meaning |
|---|---|---|
| 0 | 16 | "tezsign image 1\\n" |
| 16 | 32 | SHA-256 of the rest |
| 48 | 4048 | JSON, padded with zeros |
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Final

from image.errors import BadImage

__all__ = [
    "DATA_FORMAT",
    "RECORD_BYTES",
    "RECORD_COPIES",
    "RECORD_START",
    "Record",
    "encode_record",
    "parse_record",
]

RECORD_START: Final = 4096
RECORD_BYTES: Final = 4096
# One behind the other, since a cut may tear one while it is written.
RECORD_COPIES: Final = 2
# Of the newest layout in docs/on-disk.md: raised with any that an older program refuses.
DATA_FORMAT: Final = 1
_MAGIC: Final = b"tezsign image 1\n"
_HEAD: Final = len(_MAGIC) + 32


@dataclass(frozen=True, kw_only=True, slots=True)
class Record:
    """One image.

    Args:
        board: the name of the image's kind; an update keeps to it.
        date: of the build, UTC, in ISO 8601.
        image_hash: what /app/.image-hash says.
        layout: of the partitions (`partitions.LAYOUT`).
        partitions: SHA-256 of boot, root and app, whole, by name.
        updating_to: on a card in the middle of an update, the hash of the image that comes; else
        "".
    """

    board: str
    version: str
    date: str
    image_hash: str
    layout: int
    data_format: int
    is_development: bool
    partitions: Mapping[str, str]
    updating_to: str = ""


def encode_record(record: Record) -> bytes:
    """The whole block."""
    text = json.dumps(asdict(record), sort_keys=True).encode()
    body = text.ljust(RECORD_BYTES - _HEAD, b"\0")
    if len(body) > RECORD_BYTES - _HEAD:
        raise BadImage("what the image says of itself is too long")
    return _MAGIC + hashlib.sha256(body).digest() + body


def parse_record(block: bytes) -> Record:
    """Raises: BadImage for what is not a whole record of ours."""
    body = block[_HEAD:RECORD_BYTES]
    if not block.startswith(_MAGIC):
        raise BadImage("this is no tezsign image")
    if hashlib.sha256(body).digest() != block[len(_MAGIC) : _HEAD]:
        raise BadImage("what the image says of itself is damaged")
    try:
        return Record(**json.loads(body.rstrip(b"\0")))
    except (TypeError, ValueError) as error:
        raise BadImage(f"what the image says of itself is not understood: {error}") from error
