"""Asks apt for packages: looks them up, downloads them, installs the one that must be installed.

Looking up and downloading need no rights; only `install` changes the machine. Called by
packages.py.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.lab.cache import Cache
from tests.lab.errors import LabError
from tests.process.run import run_process

__all__ = ["SYSTEM_LISTS", "Apt", "install", "open_fresh_lists"]

_LIMIT_S = 900.0  # for one download


@dataclass(frozen=True, kw_only=True, slots=True)
class Apt:
    """Apt with one set of package lists."""

    options: tuple[str, ...]

    def show(self, package: str) -> str:
        """The control fields of the newest version. Raises: LabError if there is none."""
        return _run(["apt-cache", *self.options, "show", "--no-all-versions", package])

    def download(self, package: str, folder: Path) -> Path:
        """Puts the package into an empty folder. Raises: LabError if it isn't to be had."""
        _run(["apt-get", *self.options, "download", package], folder=folder)
        (file,) = folder.glob("*.deb")
        return file

    def find_missing(self, *packages: str) -> tuple[str, ...]:
        """What an installation of these would bring to the machine, dependencies included."""
        command = ["apt-get", *self.options, "install", "--simulate", "--no-install-recommends"]
        actions = _run([*command, *packages]).splitlines()
        return tuple(line.split()[1] for line in actions if line.startswith("Inst "))


SYSTEM_LISTS = Apt(options=())


def open_fresh_lists(cache: Cache) -> Apt:
    """Fetches the package lists into the cache folder, which needs no rights."""
    folder = cache.folder / "apt"
    for part in ("lists/partial", "cache/archives/partial"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    apt = Apt(
        options=(
            *("-o", f"Dir::State={folder}"),
            *("-o", f"Dir::Cache={folder / 'cache'}"),
            *("-o", "Dir::State::status=/var/lib/dpkg/status"),
        )
    )
    _run(["apt-get", *apt.options, "update"])
    return apt


def install(package: str) -> None:
    """Installs a package on this machine, as root or through sudo.

    Raises: LabError that says what a person has to run.
    """
    command = ["apt-get", "install", "--yes", "--no-install-recommends", package]
    advice = f"run: sudo {' '.join(command)}"
    privilege = _find_privilege()
    if privilege is None:
        raise LabError(f"{package} has to be installed; {advice}")
    prefix = [*privilege, "env", "DEBIAN_FRONTEND=noninteractive"]
    patient = [*prefix, *command, "-o", "DPkg::Lock::Timeout=300"]
    try:
        try:
            _run_privileged(patient)
        except LabError:  # no package lists, or old ones
            _run_privileged([*prefix, "apt-get", "update"])
            _run_privileged(patient)
    except LabError as error:
        raise LabError(f"{package} can't be installed: {error}\n{advice}") from error


def _find_privilege() -> list[str] | None:
    if os.geteuid() == 0:
        return []
    if not shutil.which("sudo"):
        return None
    silent = ["sudo", "-n", "true"]
    if subprocess.run(silent, capture_output=True, check=False).returncode == 0:
        return ["sudo", "-n"]
    return ["sudo"] if sys.stdin.isatty() else None


def _run_privileged(command: Sequence[str]) -> None:
    """Keeps the terminal, on which sudo may have to ask."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError as error:
        raise LabError(f"{command[0]} can't be run: {error}") from error
    if done.returncode != 0:
        raise LabError(f"{' '.join(command)} failed: {done.stderr.strip()}")


def _run(command: Sequence[str], *, folder: Path | None = None) -> str:
    try:
        done = run_process(command, folder=folder, limit_s=_LIMIT_S)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise LabError(f"{command[0]} can't be run: {error}") from error
    if done.returncode != 0:
        raise LabError(f"{' '.join(command)} failed: {done.stderr.strip()}")
    return done.stdout
