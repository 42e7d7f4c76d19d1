"""What every image is built from: pinned packages unpacked, tools, wheels, one date."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from image.boot import Stages
from image.cache import open_cache
from image.errors import BuildFailed
from image.lock import LOCK_FILE
from image.lockfile import Package, parse_lock
from image.run import run
from image.stage import unpack
from image.tools import Tools, open_tools
from image.wheels import find_wheels

__all__ = ["PROJECT", "Materials", "find_module_folder", "gather_materials"]

PROJECT: Final = Path(__file__).resolve().parent.parent


@dataclass(frozen=True, kw_only=True, slots=True)
class Materials:
    """What the build starts from."""

    lock: tuple[Package, ...]
    tools: Tools
    stages: Stages
    wheels: tuple[Path, ...]
    cache: Path
    epoch_s: int


def gather_materials() -> Materials:
    """Fetches what the cache has not. Raises: BuildFailed where something is not to be had."""
    cache = open_cache()
    lock = parse_lock(LOCK_FILE.read_text())

    def stage(part: str) -> Path:
        return unpack(cache, [package for package in lock if package.part == part])

    return Materials(
        lock=lock,
        tools=open_tools(cache, lock),
        stages=Stages(
            root=stage("root"),
            kernel=stage("kernel"),
            initramfs=stage("initramfs"),
            firmware=stage("firmware"),
        ),
        wheels=find_wheels(cache, PROJECT / "requirements/gadget.txt"),
        cache=cache,
        epoch_s=_find_epoch(),
    )


def _find_epoch() -> int:
    """The date of the build is that of the commit, unless the environment has one."""
    if chosen := os.environ.get("SOURCE_DATE_EPOCH"):
        return int(chosen)
    try:
        return int(run(["git", "-C", PROJECT, "log", "-1", "--format=%ct"]))
    except (BuildFailed, ValueError) as error:
        raise BuildFailed("this is no git checkout: set SOURCE_DATE_EPOCH") from error


def find_module_folder(kernel: Path) -> Path:
    """Args: kernel: the unpacked package."""
    (folder,) = (kernel / "usr/lib/modules").iterdir()
    return folder
