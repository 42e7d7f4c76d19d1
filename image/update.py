"""Puts a newer image on a card and leaves /data as it is, byte for byte.

The order makes a cut harmless: first the card's record says that an update began, then the first
sector of the boot partition goes, by which no board starts from the card any more; it comes back
when all the rest has been written and read back. So a cut card starts as before, starts as after,
or doesn't start and says why to `verify` and `update`; the same update, run again, finishes it. The
log stays too: it belongs to nobody's version.
"""

import sys
from dataclasses import replace
from pathlib import Path
from typing import Final

from image.card import Card, open_card
from image.errors import BadImage, UpdateRefused
from image.partitions import BOOT, FIXED, LAYOUT, SECTOR
from image.record import RECORD_BYTES, RECORD_COPIES, RECORD_START, Record

__all__ = ["check_update", "update_card"]

_CHUNK: Final = 1024 * 1024
# Room for a boot loader between our record and the boot partition.
_LOADER_START: Final = RECORD_START + RECORD_COPIES * RECORD_BYTES


def update_card(new: Path, card: Path) -> Record:
    """Returns what the card says of itself afterwards.

    Raises:
        UpdateRefused: the card is as it was.
        BadImage: the new image is damaged, the card is none of ours, or does not keep what is
        written.
    """
    with open_card(new) as source, open_card(card, writable=True) as target:
        record = source.read_record()
        _check_whole(source, record)
        present = target.read_record()
        target.read_data_size()
        check_update(record, present)
        target.write_record(replace(present, updating_to=record.image_hash))
        target.write(BOOT.start, bytes(SECTOR))
        target.sync()
        _write(source, target)
        _check_written(target, record, source)
        target.write(BOOT.start, source.read(BOOT.start, SECTOR))
        target.sync()
        target.write_record(record)
    return record


def check_update(new: Record, present: Record) -> None:
    """Raises: UpdateRefused. Pure."""
    if new.updating_to:
        raise UpdateRefused("the new image is itself a card whose update was cut")
    if new.board != present.board:
        raise UpdateRefused(f"the image is for {new.board}, the card for {present.board}")
    if new.layout != LAYOUT or present.layout != LAYOUT:
        raise UpdateRefused(
            f"layouts differ: image {new.layout}, card {present.layout}, this program {LAYOUT}"
        )
    if new.data_format < present.data_format:
        raise UpdateRefused(
            f"the card's keys have format {present.data_format}, which the image's programs"
            f" ({new.version}, format {new.data_format}) can't read"
        )
    if new.is_development and not present.is_development:
        raise UpdateRefused("a card of a baker never becomes a development card")


def _check_whole(source: Card, record: Record) -> None:
    for partition in FIXED:
        if source.hash_partition(partition) != record.partitions.get(partition.name):
            raise BadImage(
                f"the new image is damaged: {partition.name} is not what it was built as"
            )


def _write(source: Card, target: Card) -> None:
    for partition in FIXED:
        sys.stderr.write(f"image: writing {partition.name}\n")
        first = SECTOR if partition is BOOT else 0
        _copy(source, target, partition.start + first, partition.start + partition.size)
    if _has_loader(source):
        _copy(source, target, _LOADER_START, BOOT.start)
    target.sync()


def _copy(source: Card, target: Card, start: int, end: int) -> None:
    """Writes only what differs: most of it is zeros, and cards wear out."""
    for place in range(start, end, _CHUNK):
        data = source.read(place, min(_CHUNK, end - place))
        if target.read(place, len(data)) != data:
            target.write(place, data)


def _has_loader(source: Card) -> bool:
    """An image for inspection has none, and the card keeps its own."""
    return any(source.read(_LOADER_START, BOOT.start - _LOADER_START))


def _check_written(target: Card, record: Record, source: Card) -> None:
    target.drop_cache()
    for partition in FIXED:
        if partition is BOOT:
            _compare(source, target, BOOT.start + SECTOR, BOOT.start + BOOT.size)
        elif target.hash_partition(partition) != record.partitions[partition.name]:
            raise BadImage(f"the card does not keep what is written to it ({partition.name})")


def _compare(source: Card, target: Card, start: int, end: int) -> None:
    for place in range(start, end, _CHUNK):
        size = min(_CHUNK, end - place)
        if source.read(place, size) != target.read(place, size):
            raise BadImage("the card does not keep what is written to it (boot)")
