"""The files of the boot partition: kernel, initramfs, device trees, firmware, configuration."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from image.boards import Board, DeviceTree
from image.cache import find_folder, hash_file, name_content
from image.initramfs import make_initramfs
from image.kernel_modules import find_modules
from image.tools import Tools

__all__ = ["Stages", "make_boot_files"]

_GZIP: Final = (
    "import gzip, pathlib, sys\n"
    "data = pathlib.Path(sys.argv[1]).read_bytes()\n"
    "pathlib.Path(sys.argv[2]).write_bytes(gzip.compress(data, 9, mtime=0))\n"
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Stages:
    """Unpacked packages, one folder for each set."""

    root: Path
    kernel: Path
    initramfs: Path
    firmware: Path


def make_boot_files(
    board: Board, stages: Stages, tools: Tools, *, cache: Path, work: Path
) -> dict[str, bytes]:
    """Returns the files by their path on the boot partition."""
    (vmlinuz,) = (stages.kernel / "boot").glob("vmlinuz-*")
    busybox = (stages.initramfs / "usr/bin/busybox").read_bytes()
    (module_folder,) = (stages.kernel / "usr/lib/modules").iterdir()
    modules = find_modules(module_folder, board.all_modules)
    kernel = _pack(vmlinuz, tools, cache) if board.packs_kernel else vmlinuz
    return {
        "kernel8.img": kernel.read_bytes(),
        "initrd.img": make_initramfs(tools, busybox, modules, work),
        **{
            name: (stages.firmware / "usr/lib/raspi-firmware" / name).read_bytes()
            for name in board.firmware
        },
        **dict(_make_trees(board.trees, stages.kernel, tools, work)),
        **{
            name: text.format(arguments=board.arguments).encode()
            for name, text in board.texts.items()
        },
    }


def _make_trees(
    trees: tuple[DeviceTree, ...], kernel: Path, tools: Tools, work: Path
) -> Iterator[tuple[str, bytes]]:
    (folder,) = (kernel / "usr/lib").glob("linux-image-*")
    for tree in trees:
        place = work / tree.name
        place.write_bytes((folder / tree.source).read_bytes())
        if tree.peripheral:
            tools.run("fdtput", "-t", "s", place, tree.peripheral, "dr_mode", "peripheral")
        yield tree.name, place.read_bytes()


def _pack(vmlinuz: Path, tools: Tools, cache: Path) -> Path:
    """By the pinned Python: another zlib would make other bytes."""

    def fill(folder: Path) -> None:
        home = {"PYTHONHOME": str(tools.folder / "usr")}
        tools.run("python3.13", "-B", "-c", _GZIP, vmlinuz, folder / "kernel", environment=home)

    name = name_content(hash_file(vmlinuz).encode(), str(tools.folder.name).encode())
    return find_folder(cache, f"kernel-gz-{name}", fill) / "kernel"
