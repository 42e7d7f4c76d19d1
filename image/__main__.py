"""Entry of `python -m image`: arguments, one call, errors in one line."""

import argparse
import hashlib
import sys
from pathlib import Path

from image.boards import BOARDS, find_board
from image.build import build_image
from image.development import check_key
from image.errors import BuildFailed, ImageError
from image.idbloader import encode_idbloader
from image.lock import write_lock
from image.rockchip import ADVICE, check_loader, split_loader
from image.update import update_card
from image.verify import Report, verify_image

__all__ = ["main"]


def main() -> int:
    """Returns 0 when done, 1 where it could not be, 2 for a wrong word on the command line."""
    arguments = _parse()
    try:
        return _run(arguments)
    except (ImageError, OSError) as error:
        sys.stderr.write(f"image: {error}\n")
        return 1


def _run(arguments: argparse.Namespace) -> int:
    match arguments.command:
        case "lock":
            write_lock()
        case "build":
            build_image(
                arguments.board,
                arguments.out,
                loader=_read_loader(arguments),
                developer_key=_read_developer_key(arguments),
            )
        case "update":
            record = update_card(arguments.to, arguments.card)
            print(f"{arguments.card}: {record.version} of {record.date}, {record.image_hash}")
        case "verify":
            return _report(verify_image(arguments.file))
    return 0


def _read_developer_key(arguments: argparse.Namespace) -> str:
    """Raises: BuildFailed where a development image has nobody to let in, or a production image
    somebody.
    """
    if arguments.dev != bool(arguments.dev_key):
        raise BuildFailed("--dev and --dev-key FILE.pub go together: no password opens the board")
    return check_key(arguments.dev_key.read_text()) if arguments.dev_key else ""


def _read_loader(arguments: argparse.Namespace) -> dict[int, bytes]:
    """Raises: BuildFailed where the board needs one, or the one that is given is wrong."""
    if not find_board(arguments.board).needs_loader or arguments.inspect:
        return {}
    if arguments.radxa_uboot:
        first, second = split_loader(arguments.radxa_uboot.read_bytes())
    elif arguments.radxa_idbloader and arguments.radxa_itb:
        first, second = arguments.radxa_idbloader.read_bytes(), arguments.radxa_itb.read_bytes()
    elif arguments.radxa_ddr and arguments.radxa_spl and arguments.radxa_itb:
        ddr = arguments.radxa_ddr.read_bytes()
        first = encode_idbloader(ddr, arguments.radxa_spl.read_bytes())
        second = arguments.radxa_itb.read_bytes()
        sys.stderr.write(f"image: memory start: {hashlib.sha256(ddr).hexdigest()}\n")
    else:
        raise BuildFailed(ADVICE)
    loader = check_loader(first, second)
    for place, data in loader.items():
        sys.stderr.write(f"image: boot loader at {place}: {hashlib.sha256(data).hexdigest()}\n")
    return loader


def _report(report: Report) -> int:
    record = report.record
    for fault in report.faults:
        print(f"WRONG: {fault}")
    print(f"{record.board} {record.version} of {record.date}, {record.image_hash}")
    print(f"{len(report.faults)} faults" if report.faults else "good")
    return 1 if report.faults else 0


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
    for name in ("uboot", "idbloader", "itb", "ddr", "spl"):
        build.add_argument(f"--radxa-{name}", type=Path, metavar="FILE")
    build.add_argument("--inspect", action="store_true", help="build without a boot loader")
    build.add_argument("--dev", action="store_true", help="a development image: never for a baker")
    build.add_argument("--dev-key", type=Path, metavar="FILE", help="whose ssh key opens it")
    update = commands.add_parser("update", help="put an image on a card and keep its /data")
    update.add_argument("--to", required=True, type=Path, metavar="IMAGE")
    update.add_argument("--card", required=True, type=Path, metavar="DEVICE-or-FILE")
    verify = commands.add_parser("verify", help="tell what is wrong with an image or a card")
    verify.add_argument("file", type=Path, metavar="FILE")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
