"""A crash image is repaired as a boot does it, and no further."""

from pathlib import Path

from tests.crash.ext4 import Ext4
from tests.crash.recording import FILE_SYSTEM_BYTES, Recording, Write
from tests.crash.repair import RepairShop
from tests.crash.test_ext4 import make_image

_JOURNAL_INODE = 8


def open_shop(folder: Path) -> tuple[RepairShop, Ext4]:
    base = make_image(folder, {"file": b"content"}, 1024)[:FILE_SYSTEM_BYTES]
    return RepairShop(Recording(name="none", base=base, entries=()), folder), Ext4.open(base)


def test_what_is_durable_is_found(tmp_path: Path) -> None:
    shop, _ = open_shop(tmp_path)
    assert shop.repair(()).files == {"file": b"content"}


def test_each_image_starts_from_what_is_durable(tmp_path: Path) -> None:
    shop, _ = open_shop(tmp_path)
    whole = bytes(FILE_SYSTEM_BYTES)
    assert shop.repair((Write(0, whole),)).files is None
    assert shop.repair(()).files == {"file": b"content"}


def test_a_journal_that_can_not_be_read_is_refused_not_deleted(tmp_path: Path) -> None:
    """e2fsck would delete it, and with it marks that were released; the kernel does not mount."""
    shop, file_system = open_shop(tmp_path)
    first = next(file_system.extents(_JOURNAL_INODE))
    start = first.start * file_system.block_bytes
    assert shop.repair((Write(start, bytes(1024)),)).files is None
