"""Packages unpacked into a folder of the cache, from which the root file system is picked. No
script runs.
"""

from collections.abc import Sequence
from pathlib import Path

from image.archive import fetch
from image.cache import find_folder, name_content
from image.lockfile import Package
from image.run import run

__all__ = ["unpack"]


def unpack(cache: Path, packages: Sequence[Package]) -> Path:
    """Returns the folder with the files of all of them."""
    part = packages[0].part
    name = f"{part}-" + name_content(*(package.sha256.encode() for package in packages))

    def fill(folder: Path) -> None:
        # Debian's base-files makes these links; dpkg-deb follows them where a package has old
        # paths.
        for link in ("bin", "lib", "sbin"):
            (folder / "usr" / link).mkdir(parents=True)
            (folder / link).symlink_to(f"usr/{link}")
        for place in fetch(cache, packages).values():
            run(["dpkg-deb", "-x", place, folder])

    return find_folder(cache, name, fill)
