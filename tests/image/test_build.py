"""Images are built, one of them twice, and what is wrong with one is found."""

import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from image.build import build_image
from image.cache import hash_file, open_cache
from image.card import open_card
from image.erofs_reader import ErofsFile, list_erofs
from image.lock import LOCK_FILE
from image.lockfile import parse_lock
from image.partitions import APP, FIXED, ROOT
from image.tools import open_tools
from image.verify import verify_image
from image.verify_root import Tree, find_faults
from tests.image.conftest import Built

pytestmark = [pytest.mark.lab, pytest.mark.timeout(600)]

PROJECT = Path(__file__).resolve().parents[2]
ROOT_LIMIT_BYTES = 26 * 1000 * 1000


def test_the_same_checkout_gives_the_same_bytes(virt: Built, tmp_path: Path) -> None:
    """In another folder, by another process, at another time, with other habits."""
    environment = {**os.environ, "TZ": "Asia/Kolkata", "LC_ALL": "C", "PYTHONHASHSEED": "7"}
    command = [sys.executable, "-m", "image", "build", "--board", "qemu-virt", "--out"]
    subprocess.run(
        [*command, tmp_path / "again.img"],
        cwd=PROJECT,
        env={**environment, "TMPDIR": str(tmp_path)},
        umask=0o077,
        check=True,
    )
    assert hash_file(tmp_path / "again.img") == hash_file(virt.place)
    (tmp_path / "again.img").unlink()


def test_the_image_is_good_and_small(virt: Built) -> None:
    assert verify_image(virt.place).faults == ()
    for name in ("manifest.json", "sha256"):
        assert virt.place.with_name(f"{virt.place.name}.{name}").stat().st_size
    with open_card(virt.place) as card:
        data = card.read(ROOT.start, ROOT.size).rstrip(b"\0")
    assert len(data) <= ROOT_LIMIT_BYTES


@pytest.mark.usefixtures("mirror")
def test_the_image_of_a_real_board_is_good(tmp_path: Path) -> None:
    build_image("rpi4", tmp_path / "image.img")
    assert verify_image(tmp_path / "image.img").faults == ()
    (tmp_path / "image.img").unlink()


def test_changed_bytes_are_found(virt: Built, tmp_path: Path) -> None:
    place = tmp_path / "image.img"
    shutil.copyfile(virt.place, place)
    with open_card(place, writable=True) as card:
        for partition in FIXED:
            card.write(partition.start + 5000, bytes([card.read(partition.start + 5000, 1)[0] ^ 1]))
    faults = verify_image(place).faults
    for partition in FIXED:
        assert f"{partition.name} has other bytes than it was built with" in faults
    place.unlink()


@pytest.fixture(scope="module")
def trees(virt: Built, tmp_path_factory: pytest.TempPathFactory) -> tuple[Tree, Tree]:
    """Root and /app, unpacked."""
    folder = tmp_path_factory.mktemp("trees")
    tools = open_tools(open_cache(), parse_lock(LOCK_FILE.read_text()))
    found = []
    for partition in (ROOT, APP):
        with open_card(virt.place) as card:
            data = card.read(partition.start, partition.size)
        draft = folder / f"{partition.name}.erofs"
        draft.write_bytes(data)
        place = folder / partition.name
        tools.run("fsck.erofs", f"--extract={place}", "--no-preserve", draft)
        found.append(Tree(folder=place, files=list_erofs(data)))
    assert list(find_faults(*found, is_development=False)) == []
    return found[0], found[1]


def add(path: str, content: bytes = b"x", mode: int = 0o100644) -> Callable[[Tree], Tree]:
    """A file that should not be there."""

    def change(tree: Tree) -> Tree:
        place = tree.folder / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content)
        file = ErofsFile(path=path, mode=mode, owner=0, group=0, size=len(content))
        return replace(tree, files={**tree.files, path: file})

    return change


def alter(path: str, *, mode: int = 0, owner: int = 0) -> Callable[[Tree], Tree]:
    def change(tree: Tree) -> Tree:
        file = tree.files[path]
        file = replace(file, mode=mode or file.mode, owner=owner)
        return replace(tree, files={**tree.files, path: file})

    return change


def rewrite(path: str, old: str, new: str) -> Callable[[Tree], Tree]:
    def change(tree: Tree) -> Tree:
        text = (tree.folder / path).read_text()
        assert old in text
        (tree.folder / path).write_text(text.replace(old, new))
        return tree

    return change


def remove(path: str) -> Callable[[Tree], Tree]:
    def change(tree: Tree) -> Tree:
        (tree.folder / path).unlink()
        return replace(tree, files={p: f for p, f in tree.files.items() if p != path})

    return change


KEY = b"-----BEGIN OPENSSH " + b"PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjEAAAAA\n"
UNITS = "usr/lib/systemd/system"
WANTED = f"{UNITS}/multi-user.target.wants"
MUTANTS: dict[str, tuple[str, Callable[[Tree], Tree]]] = {
    "a shell": ("a shell", add("usr/bin/bash", mode=0o100755)),
    "busybox": ("a shell", add("usr/bin/busybox", mode=0o100755)),
    "a program": ("too much", add("usr/bin/nc", mode=0o100755)),
    "a private key": ("private key", add("etc/key", KEY)),
    "a source": ("byte-compiled", add("usr/lib/python3.13/evil.py")),
    "a set-user-id bit": ("rights", alter("usr/bin/mount", mode=stat.S_IFREG | 0o4755)),
    "a file for all": ("everybody", alter("etc/passwd", mode=stat.S_IFREG | 0o666)),
    "a foreign owner": ("belongs", alter("etc/shadow", owner=1000)),
    "a missing program": ("missing", remove("usr/sbin/e2fsck")),
    "a missing library": ("needs", remove("usr/lib/aarch64-linux-gnu/libexpat.so.1")),
    "a password": ("locked", rewrite("etc/shadow", "root:!*:", "root:$y$j9T$abc:")),
    "a login shell": ("shell", rewrite("etc/passwd", ":/root:/nonexistent", ":/root:/bin/sh")),
    "a new account": ("account", rewrite("etc/passwd", "\nnobody:", "\nguest:x:1::::/\nnobody:")),
    "a second root": ("has the number", rewrite("etc/passwd", "tezsign:x:990", "tezsign:x:0")),
    "a key that opens": ("/root has", add("root/.ssh/authorized_keys")),
    "a mark of development": ("marks", add("etc/development")),
    "a unit too much": ("is enabled", add(f"{WANTED}/evil.service")),
    "a unit not enabled": (
        "not enabled",
        remove(f"{UNITS}/multi-user.target.wants/tezsign.service"),
    ),
    "a unit of nothing": ("not there", rewrite(f"{UNITS}/tezsign.service", "/app/bin/", "/app/x/")),
}


@pytest.mark.parametrize("case", MUTANTS)
def test_what_must_not_be_there_is_found(
    case: str, trees: tuple[Tree, Tree], tmp_path: Path
) -> None:
    root, app = trees
    words, change = MUTANTS[case]
    shutil.copytree(root.folder, tmp_path / "root", symlinks=True)
    changed = change(replace(root, folder=tmp_path / "root"))
    faults = list(find_faults(changed, app, is_development=False))
    assert any(words in fault for fault in faults), faults
