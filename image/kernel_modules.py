"""Which kernel modules a board loads, in which order: an explicit list is faster than asking the
hardware.

Names and dependencies are read from the modules themselves. Pure but for the reading of files.
"""

import lzma
import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Final

from image.errors import BuildFailed

__all__ = ["COMMON_MODULES", "find_modules", "order_modules"]

# crc32c_generic: ext4 asks for "crc32c" by an alias, which no dependency field shows.
COMMON_MODULES: Final = ("crc32c_generic", "erofs", "ext4", "libcomposite", "usb_f_fs")


def find_modules(folder: Path, wanted: Iterable[str]) -> dict[str, bytes]:
    """Returns the contents of those modules and of what they depend on, each before its users.

    Args: folder: the kernel's module folder. Raises: BuildFailed for one that is not there.
    """
    builtin = {_name(line) for line in (folder / "modules.builtin").read_text().split()}
    files = {_name(path.name): path for path in folder.rglob("*.ko*")}
    names = [_name(name) for name in wanted]
    return order_modules(names, lambda name: b"" if name in builtin else _read(files, name))


def order_modules(wanted: Iterable[str], read: Callable[[str], bytes]) -> dict[str, bytes]:
    """Args: read: the content of a module by its name; empty where the kernel has it built in."""
    order: dict[str, bytes] = {}
    for name in wanted:
        if name not in order:
            content = read(name)
            order |= order_modules((n for n in _read_dependencies(content) if n not in order), read)
            order |= {name: content} if content else {}
    return order


def _read(files: Mapping[str, Path], name: str) -> bytes:
    if name not in files:
        raise BuildFailed(f"the kernel's package has no module {name}")
    data = files[name].read_bytes()
    return lzma.decompress(data) if files[name].suffix == ".xz" else data


def _name(path: str) -> str:
    return Path(path).name.split(".")[0].replace("-", "_")


def _read_dependencies(content: bytes) -> tuple[str, ...]:
    """What modpost recorded in .modinfo: "depends=a,b", ended by a zero byte."""
    match = re.search(rb"\0depends=([\w,-]*)\0", content)
    return tuple(match[1].decode().replace("-", "_").split(",")) if match and match[1] else ()
