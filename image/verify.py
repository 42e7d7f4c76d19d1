"""Opens a finished image, or a card, and tells what must be there and is not, or is and must not
be.

Each check is a function that yields what is wrong; `verify_image` runs all of them. Nothing is
mounted and nothing is written.
"""

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from image import verify_boot, verify_root
from image.cache import open_cache
from image.card import Card, open_card
from image.erofs_reader import ErofsFile, list_erofs
from image.errors import BadImage, BuildFailed
from image.fat_reader import read_fat
from image.image_hash import hash_image
from image.lock import LOCK_FILE
from image.lockfile import parse_lock
from image.partitions import APP, BOOT, DATA, FIXED, LAYOUT, ROOT, Partition
from image.record import Record
from image.tools import Tools, open_tools

__all__ = ["Report", "verify_image"]

# Those that every ext4 has, lost+found, and its list of orphans.
_EMPTY_INODES = 12
_NAMES = ("version", "date", "hash", "board")


@dataclass(frozen=True, kw_only=True, slots=True)
class Report:
    """What was found. Args: faults: none where the image is good."""

    record: Record
    faults: tuple[str, ...]


def verify_image(path: Path) -> Report:
    """Raises: BadImage for what is no image at all; BuildFailed where the tools are missing."""
    tools = open_tools(open_cache(), parse_lock(LOCK_FILE.read_text()))
    with open_card(path) as card, tempfile.TemporaryDirectory(prefix="tezsign-verify.") as folder:
        record = card.read_record()
        card.read_data_size()
        return Report(record=record, faults=tuple(_find_faults(card, record, tools, Path(folder))))


def _find_faults(card: Card, record: Record, tools: Tools, work: Path) -> Iterator[str]:
    if record.updating_to:
        yield f"an update to {record.updating_to} was cut: run it again, the card does not start"
        return
    if record.layout != LAYOUT:
        yield f"the layout is {record.layout}, this program knows {LAYOUT}"
        return
    wrong = [p.name for p in FIXED if card.hash_partition(p) != record.partitions.get(p.name)]
    yield from (f"{name} has other bytes than it was built with" for name in wrong)
    try:
        yield from verify_boot.find_faults(
            read_fat(card.read(BOOT.start, BOOT.size)), record, tools, work
        )
        root = _unpack(card, ROOT, tools, work)
        app = _unpack(card, APP, tools, work)
    except (BadImage, BuildFailed) as error:
        yield str(error)
        return
    yield from verify_root.find_faults(root, app, is_development=record.is_development)
    yield from _check_notes(work / APP.name, record)
    yield from _check_data(card, tools, work)


def _unpack(card: Card, partition: Partition, tools: Tools, work: Path) -> verify_root.Tree:
    data = card.read(partition.start, partition.size)
    draft = work / f"{partition.name}.erofs"
    draft.write_bytes(data)
    tools.run("fsck.erofs", f"--extract={work / partition.name}", "--no-preserve", draft)
    files: dict[str, ErofsFile] = list_erofs(data)
    return verify_root.Tree(folder=work / partition.name, files=files)


def _check_notes(app: Path, record: Record) -> Iterator[str]:
    """/app tells the host what it is; the record tells this program. They must agree."""
    said = {name: (app / f".image-{name}").read_text().strip() for name in _NAMES}
    wanted = (record.version, record.date, record.image_hash, record.board)
    for (name, text), expected in zip(said.items(), wanted, strict=True):
        if text != expected:
            yield f"/app/.image-{name} says {text}, the record {expected}"
    if hash_image(record.partitions, app) != record.image_hash:
        yield "the image hash is not that of the contents"


def _check_data(card: Card, tools: Tools, work: Path) -> Iterator[str]:
    """Of the file system that /data begins with; on a card that has run it has grown."""
    if card.read_data_size() != DATA.size:
        return
    draft = work / "data.ext4"
    draft.write_bytes(card.read(DATA.start, DATA.size))
    try:
        tools.run("e2fsck", "-fn", draft)
        told = tools.run("dumpe2fs", "-h", draft).decode()
    except BuildFailed as error:
        yield f"/data is damaged: {error}"
        return
    fields = {key: value.strip() for key, _, value in (x.partition(":") for x in told.splitlines())}
    if "journal_data" not in fields["Default mount options"].split():
        yield "/data does not journal its data"
    if int(fields["Inode count"]) - int(fields["Free inodes"]) > _EMPTY_INODES:
        yield "/data is not empty"
