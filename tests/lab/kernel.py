"""The guest's kernel: Debian's, taken from its package, with the modules that the lab loads.

Makes a folder in the cache: `kernel` (an uncompressed vmlinux where possible) and
`modules/NNN-name.ko` in the order in which they have to be loaded. Knows nothing of QEMU.
"""

import lzma
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from tests.lab.cache import Cache, name_content
from tests.lab.errors import LabError
from tests.lab.packages import KERNEL_VARIABLE, fetch_package, find_chosen_kernel, read_package

__all__ = ["Kernel", "extract_vmlinux", "find_kernel", "order_modules"]

# Loaded in this order, each after what it depends on. crc32c_generic: ext4 asks for "crc32c" by an
# alias, which no dependency field shows.
MODULES = (
    *("virtio_mmio", "virtio_pci", "virtio_console", "9pnet_virtio", "9p", "overlay"),
    *("virtio_rng", "virtio_blk", "virtio_net", "crc32c_generic", "ext4"),
    *("dummy_hcd", "libcomposite", "usb_f_fs", "usbmon", "usb_f_ecm"),
)
_PACKAGES = {"x86_64": "linux-image-amd64", "aarch64": "linux-image-arm64"}
_XZ_MAGIC = b"\xfd7zXZ\0"
_ELF_MAGIC = b"\x7fELF"


@dataclass(frozen=True, kw_only=True, slots=True)
class Kernel:
    """A folder as described above."""

    folder: Path

    @property
    def image(self) -> Path:
        """What QEMU is given as -kernel."""
        return self.folder / "kernel"

    @property
    def modules(self) -> tuple[Path, ...]:
        """In the order of loading."""
        return tuple(sorted((self.folder / "modules").iterdir()))


def find_kernel(cache: Cache, machine: str) -> Kernel:
    """Unpacks the kernel unless the cache has it.

    Raises: LabError where there is no package, or one without dummy_hcd.
    """
    chosen = find_chosen_kernel()
    source = f"{chosen.resolve()} {chosen.stat().st_mtime_ns}" if chosen else _PACKAGES[machine]
    name = "kernel-" + name_content(source.encode(), " ".join(MODULES).encode())

    def fill(folder: Path) -> None:
        if chosen:
            _unpack(chosen, folder)
        else:
            _unpack_newest(cache, machine, folder)

    return Kernel(folder=cache.find_folder(name, fill))


def _unpack_newest(cache: Cache, machine: str, folder: Path) -> None:
    try:
        with fetch_package(cache, _PACKAGES[machine]) as package:
            _unpack(package, folder)
    except LabError as error:
        raise LabError(
            f"{error}\nthe lab needs the package of a Debian kernel: download a linux-image .deb of"
            f" Debian and set {KERNEL_VARIABLE} to its path"
        ) from error


def _unpack(package: Path, folder: Path) -> None:
    modules: dict[str, bytes] = {}
    for path, data in read_package(package, "boot/vmlinuz-", "lib/modules/", "usr/lib/modules/"):
        if path.startswith("boot/"):
            (folder / "kernel").write_bytes(extract_vmlinux(data))
        elif re.search(r"\.ko(\.xz)?$", path):
            modules[_name_module(path)] = data
        elif path.endswith("/modules.builtin"):
            modules |= {_name_module(line): b"" for line in data.decode().split()}
    if not (folder / "kernel").exists():
        raise LabError(f"{package} has no kernel")
    (folder / "modules").mkdir()
    for index, name in enumerate(order_modules(modules)):
        (folder / "modules" / f"{index:03}-{name}.ko").write_bytes(_unpack_module(modules[name]))


def _name_module(path: str) -> str:
    return PurePosixPath(path).name.split(".")[0].replace("-", "_")


def _unpack_module(data: bytes) -> bytes:
    return lzma.decompress(data) if data.startswith(_XZ_MAGIC) else data


def extract_vmlinux(vmlinuz: bytes) -> bytes:
    """Takes the ELF file out of a compressed x86 kernel; gives anything else back unchanged.

    QEMU boots the ELF file by PVH, and emulation skips the 3 s that the kernel takes to unpack
    itself.
    """
    start = vmlinuz.find(_XZ_MAGIC)
    while start >= 0:
        try:
            data = lzma.LZMADecompressor().decompress(vmlinuz[start:])
        except lzma.LZMAError:
            data = b""
        if data.startswith(_ELF_MAGIC):
            return data
        start = vmlinuz.find(_XZ_MAGIC, start + 1)
    return vmlinuz


def order_modules(modules: Mapping[str, bytes]) -> list[str]:
    """MODULES with what they depend on, each before its users; not what the kernel has built in.

    Args: modules: contents by name; empty where built in.
    Raises: LabError for one that the package doesn't have.
    """
    order: dict[str, None] = {}
    _add_modules(MODULES, modules, order)
    return [name for name in order if modules[name]]


def _add_modules(
    names: Iterable[str], modules: Mapping[str, bytes], order: dict[str, None]
) -> None:
    for name in names:
        if name in order:
            continue
        if name not in modules:
            raise LabError(f"this kernel package has no module {name}")
        _add_modules(_read_dependencies(modules[name]), modules, order)
        order[name] = None


def _read_dependencies(data: bytes) -> Iterator[str]:
    """What modpost recorded in the module's .modinfo: "depends=a,b", ended by a zero byte.

    depmod would make modules.dep of these fields; the package doesn't carry that file.
    """
    match = re.search(rb"\0depends=([\w,-]*)\0", _unpack_module(data))
    if match and match[1]:
        yield from match[1].decode().replace("-", "_").split(",")
