"""What must and what must not be in the root file system and in /app of an image."""

import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from image import development, root_files
from image.accounts import NUMBERS
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
_NUMBERS: Final = {
    "root": "0",
    "nobody": "65534",
    "dev": "0",
    **{name: str(number) for name, number in NUMBERS.items()},
}


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
    yield from _check_units(root.folder, app.folder, is_development)
    yield from _check_marks(root, is_development)
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
    allowed = {*development.PROGRAMS, development.SHELL_LINK} if is_development else set()
    known = {development.KNOWN_KEYS} if is_development else set()
    for path in sorted(p for p in tree.files if (tree.folder / p).is_file()):
        if Path(path).name in _SHELLS and path not in allowed:
            yield f"{path}: a shell or a login"
        if path.endswith(".py"):
            yield f"{path} is not byte-compiled"
        if path not in known and _SECRET.search((tree.folder / path).read_bytes()):
            yield f"{path} holds a private key"


def _check_programs(root: Tree, app: Tree, is_development: bool) -> Iterator[str]:
    found = {path for path, f in root.files.items() if stat.S_ISREG(f.mode) and f.mode & 0o111}
    programs = {path for path in found if ".so" not in path}
    wanted = {*root_files.PROGRAMS, *(development.PROGRAMS if is_development else ())}
    yield from (f"/{path} is missing" for path in sorted(wanted - programs))
    yield from (f"/{path} is a program too much" for path in sorted(programs - wanted))
    has = {path.name for path in (app.folder / "bin").iterdir()}
    if has != {*PROGRAMS, *(development.APP_PROGRAMS if is_development else ())}:
        yield f"/app/bin has {sorted(has)}"
    for name in ("tezsign", "registrar"):
        package = "gadget" if name == "tezsign" else name
        if not (app.folder / "lib" / package / "__main__.pyc").exists():
            yield f"/app has no {package}"


def _check_accounts(root: Path, is_development: bool) -> Iterator[str]:
    accounts = [line.split(":") for line in (root / "etc/passwd").read_text().splitlines()]
    shadow = [line.split(":") for line in (root / "etc/shadow").read_text().splitlines()]
    allowed = set(_NUMBERS) - (set() if is_development else {"dev"})
    yield from (f"account {account[0]}" for account in accounts if account[0] not in allowed)
    for account in accounts:
        if account[-1] != "/nonexistent" and not (is_development and account[0] == "dev"):
            yield f"{account[0]} has the shell {account[-1]}"
        if account[2:3] != [_NUMBERS.get(account[0])]:
            yield f"{account[0]} has the number {account[2:3]}"
    for name, *rest in shadow:
        # "*" is no password either; it only does not lock the ssh key out.
        if not rest or not (rest[0].startswith("!") or (name, rest[0]) == ("dev", "*")):
            yield f"{name} is not locked"
    if {account[0] for account in accounts} != {line[0] for line in shadow}:
        yield "passwd and shadow have other accounts"


def _check_units(root: Path, app: Path, is_development: bool) -> Iterator[str]:
    """Every enabled unit is there, and what it starts is too."""
    units = root / _UNITS
    wanted = development.WANTED_UNITS if is_development else root_files.WANTED_UNITS
    for target, names in wanted.items():
        enabled = {path.name for path in (units / f"{target}.wants").iterdir()}
        yield from (f"{name} is not enabled" for name in sorted(set(names) - enabled))
        yield from (f"{name} is enabled" for name in sorted(enabled - set(names)))
    for unit in sorted(units.glob("*.service")):
        for program in re.findall(r"^Exec\w+=[-+!@:]*(/\S+)", unit.read_text(), re.MULTILINE):
            tree = app.parent if program.startswith("/app/") else root
            place = tree / program[1:]
            if not place.exists():
                yield f"{unit.name} starts {program}, which is not there"


def _check_marks(root: Tree, is_development: bool) -> Iterator[str]:
    """Whoever looks at a board sees which kind of image it runs, and only one lets anybody in."""
    release = (root.folder / "etc/os-release").read_text()
    found = (development.MARK in root.files, "DEVELOPMENT" in release)
    if found != (is_development, is_development):
        yield f"the marks of a development image are {found}, expected {is_development}"
    homes = [path for path in root.files if path.startswith("root/") or "authorized_keys" in path]
    if bool(homes) != is_development:
        yield f"/root has {homes}"


def _check_libraries(root: Path, app: Path) -> Iterator[str]:
    present = {path.name for tree in (root, app) for path in tree.rglob("*.so*")}
    for tree in (root, app):
        for path in sorted(tree.rglob("*")):
            if path.is_file() and not path.is_symlink():
                missing = set(find_needed(path.read_bytes())) - present
                yield from (f"/{path.relative_to(tree)} needs {name}" for name in sorted(missing))
