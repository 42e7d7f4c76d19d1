"""The read-only root file system as a folder: programs, libraries, Python, systemd's units, /etc.

Called by `image.build`, which makes an erofs file of it. What belongs here says `image.root_files`.
"""

import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from image import root_files
from image.accounts import encode_accounts
from image.byte_code import compile_tree
from image.elf import find_needed
from image.errors import BuildFailed
from image.tools import Tools

__all__ = ["copy_file", "copy_libraries", "fill_root"]

_LIBRARIES: Final = "usr/lib/aarch64-linux-gnu"
_SEARCHED: Final = (_LIBRARIES, f"{_LIBRARIES}/systemd")
_LOADER: Final = "ld-linux-aarch64.so.1"
_PYTHON_MODULES: Final = "usr/lib/python3/dist-packages"

_ETC: Final = {
    "fstab": "",
    "hostname": "tezsign\n",
    # Empty: the initramfs puts the board's own there.
    "machine-id": "",
    "nsswitch.conf": "passwd: files\ngroup: files\nshadow: files\nhosts: files\n",
    "os-release": 'ID=tezsign\nNAME="tezsign"\nPRETTY_NAME="tezsign signer"\n',
    # On a partition of its own: its commits must not delay those of the marks.
    "systemd/journald.conf": (
        "[Journal]\nStorage=persistent\nSystemMaxUse=16M\nSystemMaxFileSize=4M\nRuntimeMaxUse=4M\n"
        "RateLimitIntervalSec=30s\nRateLimitBurst=2000\nForwardToWall=no\nAudit=no\n"
    ),
    # A board in a cupboard: what hangs is started again by the hardware, where there is a watchdog.
    "systemd/system.conf": (
        "[Manager]\nRuntimeWatchdogSec=30s\nRebootWatchdogSec=2min\nShowStatus=no\n"
        "CrashAction=reboot\nCtrlAltDelBurstAction=none\nDefaultTimeoutStopSec=30s\nDumpCore=no\n"
    ),
}


def fill_root(folder: Path, *, stage: Path, assets: Path, tools: Tools) -> None:
    """Args: stage: the unpacked packages; assets: `builder/assets`; folder: empty."""
    for name in root_files.FOLDERS:
        (folder / name).mkdir(parents=True)
    for name in root_files.PROGRAMS:
        copy_file(stage, folder, name)
    _copy_python(stage, folder)
    compile_tree(tools, folder / root_files.PYTHON, place=f"/{root_files.PYTHON}")
    _write_etc(folder / "etc", assets)
    _write_units(stage, folder, assets)
    for name, target in root_files.LINKS.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).symlink_to(target)
    copy_file(stage, folder, f"{_LIBRARIES}/{_LOADER}")
    (folder / "usr/lib" / _LOADER).symlink_to(f"aarch64-linux-gnu/{_LOADER}")
    for name in root_files.LOADED_LIBRARIES:
        copy_file(stage, folder, f"{_LIBRARIES}/{name}")
    copy_libraries(stage, folder, folder)


def copy_libraries(stage: Path, folder: Path, users: Path) -> None:
    """Adds to the root folder what programs, modules and libraries under `users` need."""
    known: set[str] = {path.name for path in folder.rglob("*.so*")}
    waiting = [path for path in users.rglob("*") if path.is_file() and not path.is_symlink()]
    while waiting:
        path = waiting.pop()
        for name in find_needed(path.read_bytes()):
            if name not in known and not _is_beside(path, name):
                known.add(name)
                waiting.append(copy_file(stage, folder, _find_library(stage, name, path)))


def _is_beside(user: Path, name: str) -> bool:
    """A wheel brings libraries of its own."""
    return any((user.parents[1]).rglob(name))


def _find_library(stage: Path, name: str, user: Path) -> str:
    for place in _SEARCHED:
        if (stage / place / name).exists():
            return f"{place}/{name}"
    raise BuildFailed(f"{user} needs {name}, which no package of the root set has")


def copy_file(stage: Path, folder: Path, name: str) -> Path:
    """A link is followed, so that the library is there under the name that is asked for."""
    place = folder / name
    place.parent.mkdir(parents=True, exist_ok=True)
    try:
        shutil.copyfile((stage / name).resolve(strict=True), place)
    except OSError as error:
        raise BuildFailed(f"the packages have no {name}: {error}") from error
    # Never a set-user-id bit: nothing on the board needs one.
    place.chmod(0o755 if (stage / name).stat().st_mode & 0o111 else 0o644)
    return place


def _copy_python(stage: Path, folder: Path) -> None:
    def leave_out(place: str, names: Iterable[str]) -> set[str]:
        is_top = Path(place) == stage / root_files.PYTHON or place.endswith("lib-dynload")
        left_out = {
            name
            for name in names
            if is_top
            and (
                name in root_files.PYTHON_LEFT_OUT
                or name.split(".")[0] in root_files.PYTHON_LEFT_OUT
            )
        }
        return left_out | {name for name in names if name in ("__pycache__", "test", "tests")}

    shutil.copytree(
        stage / root_files.PYTHON, folder / root_files.PYTHON, ignore=leave_out, symlinks=True
    )
    shutil.copytree(
        stage / _PYTHON_MODULES / "systemd",
        folder / root_files.PYTHON / "systemd",
        ignore=leave_out,
    )


def _write_etc(etc: Path, assets: Path) -> None:
    accounts = encode_accounts((assets / "sysusers.conf").read_text())
    for name, text in {**_ETC, **accounts}.items():
        (etc / name).parent.mkdir(parents=True, exist_ok=True)
        (etc / name).write_text(text)
        (etc / name).chmod(0o600 if name in ("shadow", "gshadow") else 0o644)


def _write_units(stage: Path, folder: Path, assets: Path) -> None:
    units = folder / "usr/lib/systemd/system"
    units.mkdir(parents=True, exist_ok=True)
    for name in root_files.STOCK_UNITS:
        copy_file(stage, folder, f"usr/lib/systemd/system/{name}")
    for target, names in root_files.WANTED_UNITS.items():
        (units / f"{target}.wants").mkdir()
        for name in names:
            if (assets / name).exists():
                shutil.copyfile(assets / name, units / name)
            (units / f"{target}.wants" / name).symlink_to(f"../{name}")
    (units / "default.target").symlink_to("multi-user.target")
    tmpfiles = folder / "usr/lib/tmpfiles.d"
    tmpfiles.mkdir(parents=True)
    shutil.copyfile(assets / "tmpfiles.conf", tmpfiles / "tezsign.conf")
