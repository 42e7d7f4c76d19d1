"""Entry of `python -m image`: arguments, one call, errors in one line."""

import argparse
import sys
from pathlib import Path

from image.boards import BOARDS
from image.build import build_image
from image.errors import ImageError
from image.lock import write_lock

__all__ = ["main"]


def main() -> int:
    """Returns 0 when done, 1 where it could not be, 2 for a wrong word on the command line."""
    arguments = _parse()
    try:
        if arguments.command == "lock":
            write_lock()
        else:
            build_image(arguments.board, arguments.out)
    except ImageError as error:
        sys.stderr.write(f"image: {error}\n")
        return 1
    return 0


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m image", description="SD-card images for boards"
    )
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("lock", help="take the newest Debian packages into image/debian.lock")
    build = commands.add_parser("build", help="build an image")
    names = [name for board in BOARDS for name in board.serves]
    build.add_argument("--board", required=True, choices=names)
    build.add_argument("--out", required=True, type=Path, metavar="FILE")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
