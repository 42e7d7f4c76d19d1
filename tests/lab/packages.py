"""Gets what the lab needs from Debian: the kernel's package and busybox unpacked, QEMU installed.

Nothing but QEMU touches the machine: the other packages are fetched and read, never installed.
Called by kernel.py, boot_files.py and session.py.
"""

import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.lab.apt import SYSTEM_LISTS, install, open_fresh_lists
from tests.lab.cache import Cache
from tests.lab.errors import LabError
from tests.process.child import Child

__all__ = [
    "KERNEL_VARIABLE",
    "fetch_package",
    "find_chosen_kernel",
    "find_program",
    "read_package",
    "report",
]

KERNEL_VARIABLE = "TEZSIGN_LAB_KERNEL"


def report(message: str) -> None:
    """A line for the person who waits; never on standard output, which is the command's."""
    print(f"lab: {message}", file=sys.stderr, flush=True)


@contextmanager
def fetch_package(cache: Cache, name: str) -> Iterator[Path]:
    """Downloads a package, or the one that it stands for, and removes it after use.

    Raises: LabError if apt doesn't have it.
    """
    report(f"fetching {name} (once)")
    with tempfile.TemporaryDirectory(prefix=".download.", dir=cache.folder) as folder:
        try:
            real = _follow(SYSTEM_LISTS.show(name), name)
            package = SYSTEM_LISTS.download(real, Path(folder))
        except LabError:  # no package lists, or old ones
            apt = open_fresh_lists(cache)
            package = apt.download(_follow(apt.show(name), name), Path(folder))
        yield package


def _follow(control: str, name: str) -> str:
    """linux-image-amd64 is empty and depends on the newest kernel, linux-image-6.1.0-…-amd64."""
    real = re.search(r"^Depends:.*?\b(linux-image-\d[^\s,]*)", control, re.MULTILINE)
    return real[1] if real else name


def read_package(package: Path, *prefixes: str) -> Iterator[tuple[str, bytes]]:
    """The plain files of a package whose path starts with one of the prefixes; no links.

    Raises: LabError if the file isn't a whole package.
    """
    command = ["dpkg-deb", "--fsys-tarfile", str(package)]
    try:
        with (
            Child(command, stdout=subprocess.PIPE) as process,
            tarfile.open(fileobj=process.stdout, mode="r|") as archive,
        ):
            for member in archive:
                name = member.name.removeprefix("./")
                file = archive.extractfile(member) if name.startswith(prefixes) else None
                if file is not None and member.isreg():
                    yield name, file.read()
    except (OSError, tarfile.TarError) as error:
        raise LabError(f"{package} can't be unpacked: {error}") from error


def find_program(cache: Cache, name: str, package: str) -> str:
    """The path of a program; its package is installed if it is missing.

    Raises: LabError that says what a person has to run.
    """
    found = shutil.which(name)
    if found:
        return found
    with cache.lock():
        if not shutil.which(name):
            report(f"installing {package} (once; a minute or two)")
            install(package)
    found = shutil.which(name)
    if not found:
        raise LabError(f"package {package} is installed and brings no {name}")
    return found


def find_chosen_kernel() -> Path | None:
    """The kernel package that the environment names, if it does."""
    chosen = os.environ.get(KERNEL_VARIABLE)
    if not chosen:
        return None
    if not Path(chosen).is_file():
        raise LabError(f"{KERNEL_VARIABLE} names {chosen}, which is not a file")
    return Path(chosen)
