"""The folder in which the lab keeps what is costly to make: kernel, busybox, initramfs, answers.

Everything in it is named by what it was made from and put there by a rename, so readers need no
lock. Makers hold one, so that two labs that start together download once.
"""

import contextlib
import fcntl
import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.lab.errors import LabError

__all__ = ["Cache", "name_content", "open_cache"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Cache:
    """One folder, made by `open_cache`."""

    folder: Path

    def find_file(self, name: str, make: Callable[[], bytes]) -> Path:
        """The file of that name, which is made if it isn't there."""
        path = self.folder / name
        if not path.exists():
            with self.lock():
                if not path.exists():
                    with self._draft(name) as draft:
                        draft.write_bytes(make())
        return path

    def find_folder(self, name: str, fill: Callable[[Path], None]) -> Path:
        """The folder of that name, which is made and filled if it isn't there."""
        path = self.folder / name
        if not path.exists():
            with self.lock():
                if not path.exists():
                    with self._draft(name) as draft:
                        draft.mkdir()
                        fill(draft)
        return path

    @contextlib.contextmanager
    def _draft(self, name: str) -> Iterator[Path]:
        """A path that becomes `name` if the block succeeds; nothing stays if not."""
        place = Path(tempfile.mkdtemp(prefix=f".{name}.", dir=self.folder))
        try:
            yield place / "draft"
            (place / "draft").rename(self.folder / name)
        finally:
            shutil.rmtree(place, ignore_errors=True)

    @contextlib.contextmanager
    def lock(self) -> Iterator[None]:
        """Keeps other labs from making anything."""
        with (self.folder / "lock").open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield


def open_cache() -> Cache:
    """Finds the folder by the XDG rule and makes it.

    Raises: LabError where it can't be made; XDG_CACHE_HOME then has to name another place.
    """
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    folder = Path(base) / "tezsign-lab"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise LabError(f"no cache folder at {folder} ({error}); set XDG_CACHE_HOME") from error
    return Cache(folder=folder)


def name_content(*parts: bytes) -> str:
    """A short name that differs when any of the parts does."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(len(part).to_bytes(8, "big") + part)
    return digest.hexdigest()[:16]
