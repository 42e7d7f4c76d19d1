"""What the SD-card image says of itself: one-line files. Read once at start, never written
here."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

__all__ = ["ImageInfo", "load_image_info"]

_LIMIT_BYTES: Final = 128


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageInfo:
    """All are empty where the daemon runs from no image (the lab, a developer's machine)."""

    version: str
    date: str
    hash: str = ""


def _first_line(path: Path) -> str:
    try:
        with path.open("rb") as file:
            text = file.read(_LIMIT_BYTES)
    except OSError:
        return ""
    return text.split(b"\n", 1)[0].decode("ascii", "replace").strip()


def load_image_info(folder: Path) -> ImageInfo:
    return ImageInfo(
        version=_first_line(folder / ".image-version"),
        date=_first_line(folder / ".image-date"),
        hash=_first_line(folder / ".image-hash"),
    )
