"""The initramfs: busybox, the board's kernel modules and `guest/init`. Packed with zstd."""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from image.cpio import Entry, encode_archive
from image.partitions import DISK_ID
from image.tools import Tools

__all__ = ["INIT", "make_initramfs"]

INIT: Final = Path(__file__).with_name("guest") / "init"
_FOLDERS: Final = ("bin", "dev", "lib", "lib/modules", "proc", "root", "run", "sys")
_APPLETS: Final = (
    *(
        "basename",
        "blockdev",
        "cat",
        "chroot",
        "cp",
        "dd",
        "grep",
        "hexdump",
        "insmod",
        "ln",
        "mkdir",
    ),
    *("mount", "reboot", "rm", "sh", "sleep", "switch_root", "tr"),
    "umount",
)


def make_initramfs(tools: Tools, busybox: bytes, modules: Mapping[str, bytes], work: Path) -> bytes:
    """Args: modules: contents by name, in the order of loading; work: a folder for drafts."""
    entries = (
        *(Entry.folder(name) for name in _FOLDERS),
        Entry.file("init", INIT.read_bytes(), executable=True),
        Entry.file("disk", f"{DISK_ID:08x}\n".encode()),
        Entry.file("bin/busybox", busybox, executable=True),
        *(Entry.link(f"bin/{name}", "busybox") for name in _APPLETS),
        Entry.file("lib/modules/order", "".join(f"{name}\n" for name in modules).encode()),
        *(Entry.file(f"lib/modules/{name}.ko", data) for name, data in modules.items()),
    )
    (work / "initrd.cpio").write_bytes(encode_archive(entries))
    options = ["-q", "-f", "-19", "-T1"]
    tools.run("zstd", *options, work / "initrd.cpio", "-o", work / "initrd.img")
    return (work / "initrd.img").read_bytes()
