"""A card or an image as bytes in places: a file, or a device that is not mounted. Reads, writes,
syncs.
"""

import contextlib
import hashlib
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from image.errors import BadImage
from image.partitions import SECTOR, Partition, read_data_size
from image.record import (
    RECORD_BYTES,
    RECORD_COPIES,
    RECORD_START,
    Record,
    encode_record,
    parse_record,
)

__all__ = ["Card", "open_card"]

_CHUNK: Final = 1024 * 1024


class Card:
    """An open file or device; `open_card` makes it."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def read(self, start: int, size: int) -> bytes:
        """Raises: BadImage where the card ends before that."""
        data = bytearray()
        while len(data) < size:
            chunk = os.pread(self._descriptor, min(_CHUNK, size - len(data)), start + len(data))
            if not chunk:
                raise BadImage(f"the image ends at {start + len(data)} bytes: it is cut")
            data += chunk
        return bytes(data)

    def write(self, start: int, data: bytes) -> None:
        """Not durable before `sync`."""
        view = memoryview(data)
        while view:
            written = os.pwrite(self._descriptor, view[:_CHUNK], start)
            view, start = view[written:], start + written

    def sync(self) -> None:
        """Returns when everything written is on the card."""
        os.fsync(self._descriptor)

    def drop_cache(self) -> None:
        """What is read next comes from the card, where the kernel obeys."""
        os.posix_fadvise(self._descriptor, 0, 0, os.POSIX_FADV_DONTNEED)

    def read_record(self) -> Record:
        """Raises: BadImage where neither copy is whole."""
        try:
            return parse_record(self.read(RECORD_START, RECORD_BYTES))
        except BadImage as error:
            with contextlib.suppress(BadImage):  # the first copy's fault says more
                return parse_record(self.read(RECORD_START + RECORD_BYTES, RECORD_BYTES))
            raise error from None

    def write_record(self, record: Record) -> None:
        """Durable when it returns; cut anywhere, one copy is whole."""
        for copy in range(RECORD_COPIES):
            self.write(RECORD_START + copy * RECORD_BYTES, encode_record(record))
            self.sync()

    def read_data_size(self) -> int:
        """Of the partition of /data. Raises: BadImage for a card with another layout."""
        return read_data_size(self.read(0, SECTOR))

    def hash_partition(self, partition: Partition) -> str:
        """SHA-256 of all of it."""
        digest = hashlib.sha256()
        for place in range(0, partition.size, _CHUNK):
            digest.update(self.read(partition.start + place, min(_CHUNK, partition.size - place)))
        return digest.hexdigest()


@contextmanager
def open_card(path: Path, *, writable: bool = False) -> Iterator[Card]:
    """Raises: BadImage where it can't be opened; a mounted device can't be."""
    flags = (os.O_RDWR if writable else os.O_RDONLY) | os.O_CLOEXEC
    try:
        if stat.S_ISBLK(path.stat().st_mode) and writable:
            flags |= os.O_EXCL  # busy while anything of it is mounted
        descriptor = os.open(path, flags)
    except OSError as error:
        raise BadImage(f"{path} can't be opened: {error.strerror}") from error
    try:
        yield Card(descriptor)
    finally:
        os.close(descriptor)
