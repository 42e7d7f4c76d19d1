"""The image that several tests look at: built once, and changed by nobody."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from image.archive import MIRROR_VARIABLE, find_mirrors
from image.build import build_image
from image.record import Record


@dataclass(frozen=True, kw_only=True, slots=True)
class Built:
    """A finished image. Args: place: its file; record: what it says of itself."""

    place: Path
    record: Record


@pytest.fixture(scope="session")
def mirror() -> None:
    """What images are made of comes from Debian's archive, which other systems don't know."""
    if not find_mirrors():
        pytest.skip(f"this machine has no mirror of Debian: name one in {MIRROR_VARIABLE}")


@pytest.fixture(scope="session")
def virt(mirror: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Built]:
    place = tmp_path_factory.mktemp("virt") / "virt.img"
    yield Built(place=place, record=build_image("qemu-virt", place))
    place.unlink()
