"""What must and what must not be in the root file system and in /app of an image."""

import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from image import root_files
from image.app import PROGRAMS
from image.elf import find_needed
from image.erofs_reader import ErofsFile

__all__ = ["Tree", "find_faults"]

_SHELLS: Final = frozenset(
    (
        *("ash", "bash", "busybox", "csh", "dash", "fish", "ksh", "mksh", "sh", "tcsh", "zsh"),
        *("agetty", "getty", "login", "su", "sudo", "sulogin", "sshd", "dropbear", "telnetd"),
    )
)
_SECRET: Final = re.compile(rb"-----BEGIN [A-Z ]*PRIVATE KEY-----\s+[A-Za-z0-9+/=]{16}")
_OWNERSHIP_BITS: Final = stat.S_ISUID | stat.S_ISGID
_UNITS: Final = "usr/lib/systemd/system"


@dataclass(frozen=True, kw_only=True, slots=True)
class Tree:
    """A file system. Args: folder: where it is unpacked; files: with owners and modes, by path."""

    folder: Path
    files: dict[str, ErofsFile]


def find_faults(root: Tree, app: Tree, *, is_development: bool) -> Iterator[str]:
    """Yields a line for each fault."""
    for name, tree in (("", root), ("/app", app)):
        yield from (f"{name}/{fault}" for fault in _check_modes(tree))
        yield from (f"{name}/{fault}" for fault in _check_contents(tree, is_development))
    yield from _check_programs(root, app, is_development)
    yield from _check_accounts(root.folder, is_development)
    yield from _check_units(root.folder, app.folder)
    yield from _check_libraries(root.folder, app.folder)


def _check_modes(tree: Tree) -> Iterator[str]:
    for path, file in sorted(tree.files.items()):
        if (file.owner, file.group) != (0, 0):
            yield f"{path} belongs to {file.owner}:{file.group}"
        if file.mode & _OWNERSHIP_BITS:
            yield f"{path} runs with its owner's rights"
        if file.mode & stat.S_IWOTH and not stat.S_ISLNK(file.mode):
            yield f"{path} may be written by everybody"
        if stat.S_IFMT(file.mode) not in (stat.S_IFREG, stat.S_IFDIR, stat.S_IFLNK):
            yield f"{path} is neither file, folder nor link"


def _check_contents(tree: Tree, is_development: bool) -> Iterator[str]:
    for path in sorted(p for p in tree.files if (tree.folder / p).is_file()):
        if Path(path).name in _SHELLS and not is_development:
            yield f"{path}: a shell or a login"
        if path.endswith(".py"):
            yield f"{path} is not byte-compiled"
        if _SECRET.search((tree.folder / path).read_bytes()):
            yield f"{path} holds a private key"


def _check_programs(root: Tree, app: Tree, is_development: bool) -> Iterator[str]:
    found = {path for path, f in root.files.items() if stat.S_ISREG(f.mode) and f.mode & 0o111}
    programs = {path for path in found if ".so" not in path}
    yield from (f"/{path} is missing" for path in sorted(set(root_files.PROGRAMS) - programs))
    if not is_development:
        more = sorted(programs - set(root_files.PROGRAMS))
        yield from (f"/{path} is a program too much" for path in more)
    has = {path.name for path in (app.folder / "bin").iterdir()}
    if has != set(PROGRAMS):
        yield f"/app/bin has {sorted(has)}"
    for name in ("tezsign", "registrar"):
        package = "gadget" if name == "tezsign" else name
        if not (app.folder / "lib" / package / "__main__.pyc").exists():
            yield f"/app has no {package}"


def _check_accounts(root: Path, is_development: bool) -> Iterator[str]:
    accounts = [line.split(":") for line in (root / "etc/passwd").read_text().splitlines()]
    shadow = [line.split(":") for line in (root / "etc/shadow").read_text().splitlines()]
    allowed = {"root", "nobody", "registrar", "tezsign"} | ({"dev"} if is_development else set())
    yield from (f"account {account[0]}" for account in accounts if account[0] not in allowed)
    if not is_development:
        yield from (f"{a[0]} has the shell {a[-1]}" for a in accounts if a[-1] != "/nonexistent")
        yield from (
            f"{s[0]} is not locked" for s in shadow if not s[1:2] or not s[1].startswith("!")
        )
    if {account[0] for account in accounts} != {line[0] for line in shadow}:
        yield "passwd and shadow have other accounts"


def _check_units(root: Path, app: Path) -> Iterator[str]:
    """Every enabled unit is there, and what it starts is too."""
    units = root / _UNITS
    for target, names in root_files.WANTED_UNITS.items():
        enabled = {path.name for path in (units / f"{target}.wants").iterdir()}
        yield from (f"{name} is not enabled" for name in sorted(set(names) - enabled))
        yield from (f"{name} is enabled" for name in sorted(enabled - set(names)))
    for unit in sorted(units.glob("*.service")):
        for program in re.findall(r"^Exec\w+=[-+!@:]*(/\S+)", unit.read_text(), re.MULTILINE):
            tree = app.parent if program.startswith("/app/") else root
            place = tree / program[1:]
            if not place.exists():
                yield f"{unit.name} starts {program}, which is not there"


def _check_libraries(root: Path, app: Path) -> Iterator[str]:
    present = {path.name for tree in (root, app) for path in tree.rglob("*.so*")}
    for tree in (root, app):
        for path in sorted(tree.rglob("*")):
            if path.is_file() and not path.is_symlink():
                missing = set(find_needed(path.read_bytes())) - present
                yield from (f"/{path.relative_to(tree)} needs {name}" for name in sorted(missing))
