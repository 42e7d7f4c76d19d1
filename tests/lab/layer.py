"""What --systemd needs and this machine has not: Debian's packages, unpacked into the cache.

The guest sees them laid over this machine's files, so nothing is installed here. Which ones are
missing, with all that they depend on, apt tells. Called by session.py.
"""

import shutil
import subprocess
from pathlib import Path
from typing import Final

from tests.lab.apt import SYSTEM_LISTS, open_fresh_lists
from tests.lab.cache import Cache, name_content
from tests.lab.errors import LabError
from tests.lab.packages import fetch_package
from tests.process.run import run_process

__all__ = ["find_layer"]

_PACKAGES: Final = ("systemd", "chrony")
_LIMIT_S: Final = 120.0
_INSTALLED: Final = Path("/var/lib/dpkg/status")
# Since Debian 12 these are links into usr. A package of that time still has files "in" them, and a
# folder of that name in the layer would hide the link.
_MERGED: Final = ("bin", "lib", "lib64", "sbin")


def find_layer(cache: Cache) -> Path:
    """A folder like a root folder; empty where the machine has everything.

    Raises: LabError if apt has a package not.
    """
    installed = _INSTALLED.stat() if _INSTALLED.exists() else None
    version = f"{installed.st_mtime_ns} {installed.st_size}" if installed else ""
    name = "layer-" + name_content(" ".join(_PACKAGES).encode(), version.encode())
    return cache.find_folder(name, lambda folder: _fill(cache, folder))


def _fill(cache: Cache, folder: Path) -> None:
    for package in _find_missing(cache):
        with fetch_package(cache, package) as file:
            _unpack(file, folder)
    for name in _MERGED:
        if (folder / name).exists():
            shutil.copytree(folder / name, folder / "usr" / name, symlinks=True, dirs_exist_ok=True)
            shutil.rmtree(folder / name)


def _find_missing(cache: Cache) -> tuple[str, ...]:
    try:
        return SYSTEM_LISTS.find_missing(*_PACKAGES)
    except LabError:  # no package lists, or old ones
        return open_fresh_lists(cache).find_missing(*_PACKAGES)


def _unpack(package: Path, folder: Path) -> None:
    command = ["dpkg-deb", "--extract", str(package), str(folder)]
    try:
        done = run_process(command, limit_s=_LIMIT_S)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise LabError(f"{package} can't be unpacked: {error}") from error
    if done.returncode != 0:
        raise LabError(f"{package} can't be unpacked: {done.stderr.strip()}")
