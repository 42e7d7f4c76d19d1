"""The reader of images against e2fsprogs: mke2fs puts files in, the reader gets them out."""

import os
import shutil
import subprocess
from pathlib import Path
from random import Random

import pytest

from tests.crash.ext4 import BadImage, Ext4
from tests.crash.record import SYSTEM_PROGRAMS


def run(*words: str | Path) -> None:
    subprocess.run(words, check=True, capture_output=True, env={"PATH": SYSTEM_PROGRAMS})


def make_image(folder: Path, files: dict[str, bytes], block_bytes: int) -> bytes:
    for name, data in files.items():
        path = folder / "tree" / "store" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    image = folder / "image"
    with image.open("wb") as file:
        file.truncate(10 * 1024 * 1024)
    run("mke2fs", "-q", "-F", "-t", "ext4", "-b", f"{block_bytes}", "-d", folder / "tree", image)
    return image.read_bytes()


@pytest.mark.parametrize("block_bytes", [1024, 4096])
def test_files_come_out_as_they_went_in(tmp_path: Path, block_bytes: int) -> None:
    random = Random(block_bytes)  # noqa: S311
    files = {f"marks/file-{n}": random.randbytes(random.randrange(9000)) for n in range(120)}
    files |= {"empty": b"", "large": random.randbytes(700_000)}
    assert Ext4.open(make_image(tmp_path, files, block_bytes)).read_files("store") == files


def test_a_file_in_pieces_and_with_holes_is_read(tmp_path: Path) -> None:
    """More extents than an inode holds, so that there is a tree of them."""
    path = tmp_path / "tree" / "store" / "file"
    path.parent.mkdir(parents=True)
    with path.open("wb") as file:
        for piece in range(40):
            file.seek(piece * 3 * 4096)
            file.write(os.urandom(4096))
        file.truncate(40 * 3 * 4096)
    image = make_image(tmp_path, {}, 1024)
    assert Ext4.open(image).read_files("store") == {"file": path.read_bytes()}


def test_removed_files_are_not_seen(tmp_path: Path) -> None:
    make_image(tmp_path, {"a": b"1", "b": b"2", "c": b"3"}, 1024)
    run("debugfs", "-w", "-R", "rm store/b", tmp_path / "image")
    files = Ext4.open((tmp_path / "image").read_bytes()).read_files("store")
    assert files == {"a": b"1", "c": b"3"}


def test_no_folder_means_no_files(tmp_path: Path) -> None:
    (tmp_path / "tree").mkdir()
    assert Ext4.open(make_image(tmp_path, {}, 1024)).read_files("store") == {}


def test_another_file_system_is_refused() -> None:
    with pytest.raises(BadImage, match="super block"):
        Ext4.open(bytes(4096))


def test_e2fsck_is_there() -> None:
    """Everything of this package rests on it."""
    assert shutil.which("e2fsck", path=SYSTEM_PROGRAMS)
