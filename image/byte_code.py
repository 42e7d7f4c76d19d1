"""Byte-compiles Python folders with the image's own Python, the same in every build, and drops the
sources.

Unchecked: the daemon's Python reads no source and asks for no time of change, which halves its
start.
"""

from pathlib import Path
from typing import Final

from image.tools import Tools

__all__ = ["compile_tree"]

_OPTIONS: Final = ("-b", "-q", "--invalidation-mode", "unchecked-hash", "-f")


def compile_tree(tools: Tools, folder: Path, *, place: str) -> None:
    """Turns every .py under the folder into a .pyc at the same place.

    Args: place: where the folder will be on the board; tracebacks name it.
    """
    environment = {"PYTHONHOME": str(tools.folder / "usr"), "PYTHONHASHSEED": "0"}
    words = ("-B", "-s", "-S", "-m", "compileall", *_OPTIONS, "-s", folder, "-p", place, folder)
    tools.run("python3.13", *words, environment=environment)
    for source in folder.rglob("*.py"):
        source.unlink()
