"""The pinned Debian packages: name, version, hash and place in the archive, one line for each.
Pure.

Sets: `root` is unpacked into the root file system, `kernel` and `firmware` give files to the
boot partition and the initramfs, `tools` run on the machine that builds, and are of its
architecture. No host is named: a place is relative to a mirror of Debian, the host is the machine's
own choice.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from image.errors import BuildFailed

__all__ = ["Package", "encode_lock", "parse_lock"]

_HEAD = (
    "# Made by `python -m image lock`. set, package, architecture, version, size, SHA-256, place\n"
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Package:
    """One file of the archive.

    Args:
        place: relative to the mirror, as in the archive's own index ("pool/main/…").
        size: bytes.
    """

    part: str
    name: str
    architecture: str
    version: str
    size: int
    sha256: str
    place: str

    def __post_init__(self) -> None:
        """Refuses what could leave the archive or the cache."""
        if not self.place.startswith("pool/") or ".." in self.place or len(self.sha256) != 64:
            raise BuildFailed(f"the lock's line for {self.name} is damaged")


def parse_lock(text: str) -> tuple[Package, ...]:
    """Raises: BuildFailed for a line that is not one of ours."""
    packages = []
    for line in text.splitlines():
        if not line or line.startswith("#"):
            continue
        words = line.split()
        if len(words) != 7 or not words[4].isdecimal():
            raise BuildFailed(f"the lock has a line that is damaged: {line}")
        part, name, architecture, version, size, sha256, place = words
        packages.append(
            Package(
                part=part,
                name=name,
                architecture=architecture,
                version=version,
                size=int(size),
                sha256=sha256,
                place=place,
            )
        )
    return tuple(packages)


def encode_lock(packages: Iterable[Package]) -> str:
    """The text that `parse_lock` reads."""
    return _HEAD + "".join(
        f"{package.part} {package.name} {package.architecture} {package.version} {package.size}"
        f" {package.sha256} {package.place}\n"
        for package in packages
    )
