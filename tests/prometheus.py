"""Prometheus and its promtool from Debian's package, unpacked into the lab's cache. Nothing is
installed."""

from pathlib import Path
from typing import Final

from tests.lab.cache import open_cache
from tests.lab.packages import fetch_package, read_package

__all__ = ["find_prometheus"]

_PACKAGE: Final = "prometheus"
_PROGRAMS: Final = ("usr/bin/prometheus", "usr/bin/promtool")


def find_prometheus() -> Path:
    """A folder with both programs.

    Raises: LabError where apt has no such package.
    """
    cache = open_cache()
    return cache.find_folder("prometheus", _fill)


def _fill(folder: Path) -> None:
    with fetch_package(open_cache(), _PACKAGE) as package:
        for name, data in read_package(package, *_PROGRAMS):
            program = folder / Path(name).name
            program.write_bytes(data)
            program.chmod(0o755)
