"""Gets pinned files from a mirror of Debian through apt, which needs no rights for that.

apt knows the machine's proxies, certificates and mirrors; whether the bytes are the right ones says
the lock, so neither package lists nor signatures are needed. Bytes that have been here once stay in
the cache.
"""

import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

from image.cache import hash_file
from image.errors import BuildFailed
from image.lockfile import Package
from image.run import run

__all__ = ["MIRROR_VARIABLE", "fetch", "find_mirrors"]

MIRROR_VARIABLE = "TEZSIGN_DEBIAN_MIRROR"
_HELPER = "/usr/lib/apt/apt-helper"
_LIMIT_S = 900.0


def find_mirrors() -> tuple[str, ...]:
    """Where to ask, first to last: what the variable names, else the machine's own sources of
    Debian.

    A mirror of the main archive and one of the security archive have the same shape.
    """
    if chosen := os.environ.get(MIRROR_VARIABLE):
        return tuple(chosen.split())
    told = run(["apt-get", "indextargets", "--format", "$(ORIGIN) $(REPO_URI)"]).decode()
    rows = (line.split(maxsplit=1) for line in told.splitlines())
    return tuple(dict.fromkeys(row[1] for row in rows if row[0] == "Debian"))


def fetch(cache: Path, packages: Sequence[Package]) -> dict[Package, Path]:
    """Returns the file of each, and downloads what the cache has not.

    Raises:
        BuildFailed: it is at none of the mirrors, or has other bytes there.
    """
    folder = cache / "packages"
    folder.mkdir(exist_ok=True)
    places = {package: folder / f"{package.sha256}.deb" for package in packages}
    missing = [package for package, place in places.items() if not place.exists()]
    mirrors = find_mirrors() if missing else ()
    for package in missing:
        _download(package, places[package], mirrors)
    return places


def _download(package: Package, place: Path, mirrors: Sequence[str]) -> None:
    failures = []
    with tempfile.TemporaryDirectory(prefix=".download.", dir=place.parent) as folder:
        draft = Path(folder) / "file"
        for mirror in mirrors:
            address = f"{mirror.rstrip('/')}/{package.place}"
            try:
                run([_HELPER, "download-file", address, draft], limit_s=_LIMIT_S)
            except BuildFailed as error:
                failures.append(str(error))
                continue
            if hash_file(draft) == package.sha256:
                draft.rename(place)
                return
            failures.append(f"{address} has other bytes than the lock says")
    raise BuildFailed(
        f"{package.name} {package.version} is not to be had; a mirror that keeps old packages"
        f" can be named in {MIRROR_VARIABLE}, and `python -m image lock` takes newer ones. "
        + "; ".join(failures or ["this machine has no mirror of Debian"])
    )
