"""What must and what must not be on the boot partition and in its initramfs."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from image.boards import find_board
from image.cpio_reader import read_archive
from image.initramfs import INIT
from image.record import Record
from image.tools import Tools

__all__ = ["find_faults"]

# Drivers by which something else than USB could reach the board.
_NETWORK: Final = re.compile(
    r"brcmfmac|cfg80211|mac80211|bluetooth|btbcm|hci_uart|genet|stmmac|dwmac|virtio_net|smsc|lan78|r8152"
)
_DEVELOPMENT: Final = re.compile(r"usb_f_ecm|u_ether|usbnet")


def find_faults(
    files: Mapping[str, bytes], record: Record, tools: Tools, work: Path
) -> Iterator[str]:
    """Args: files: of the boot partition, by path."""
    board = find_board(record.board)
    wanted = {"kernel8.img", "initrd.img", *board.texts, *board.firmware}
    wanted |= {tree.name for tree in board.trees}
    yield from (f"the boot partition has no {name}" for name in sorted(wanted - set(files)))
    yield from (f"the boot partition has {name} too much" for name in sorted(set(files) - wanted))
    for name in sorted(set(board.texts) & set(files)):
        text = files[name].decode(errors="replace")
        if text != board.texts[name].format(arguments=board.arguments):
            yield f"{name} is not the one of this board"
    if "initrd.img" in files:
        (work / "initrd.img").write_bytes(files["initrd.img"])
        tools.run("zstd", "-q", "-d", "-f", work / "initrd.img", "-o", work / "initrd.cpio")
        archive = read_archive((work / "initrd.cpio").read_bytes())
        yield from _check_initramfs(archive, is_development=record.is_development)


def _check_initramfs(files: Mapping[str, bytes], *, is_development: bool) -> Iterator[str]:
    if files.get("init") != INIT.read_bytes():
        yield "the initramfs has another first program"
    names = [Path(path).stem for path in files if path.endswith(".ko")]
    for name in names:
        if _NETWORK.search(name) or (_DEVELOPMENT.search(name) and not is_development):
            yield f"the initramfs has the driver {name}"
    if files.get("lib/modules/order", b"").decode().split() != names:
        yield "the initramfs does not load the modules that it has"
