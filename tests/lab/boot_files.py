"""The initramfs of a run: busybox, modules and `init`, made once; then this run's settings."""

import json
import shlex
from collections.abc import Mapping
from pathlib import Path

from image.cpio import Entry, encode_archive
from tests.lab.cache import Cache, name_content
from tests.lab.errors import LabError
from tests.lab.kernel import Kernel
from tests.lab.packages import fetch_package, read_package

__all__ = ["encode_settings", "find_initramfs"]

_FOLDERS = ("bin", "dev", "extra", "host", "lab", "lib", "lib/modules", "proc", "root", "sys")
_APPLETS = (
    *("cat", "chmod", "cp", "date", "ifconfig", "insmod", "ln", "mkdir", "mknod", "mount"),
    *("poweroff", "route", "sh", "switch_root"),
)
_INIT = Path(__file__).parent / "guest" / "init"


def find_initramfs(cache: Cache, kernel: Kernel) -> bytes:
    """What is the same in every run, from the cache or made."""
    busybox = (
        cache.find_folder("busybox", lambda folder: _unpack_busybox(cache, folder)) / "busybox"
    )
    init = _INIT.read_bytes()
    name = "initramfs-" + name_content(
        str(kernel.folder).encode(), init, " ".join(_APPLETS).encode()
    )
    made = cache.find_file(name, lambda: _encode(busybox.read_bytes(), init, kernel.modules))
    return made.read_bytes()


def encode_settings(settings: Mapping[str, str], plan: object) -> bytes:
    """The archive that goes behind: variables for `init`, and the plan for what comes after it."""
    lines = "".join(f"{name}={shlex.quote(value)}\n" for name, value in settings.items())
    return encode_archive(
        (
            Entry.file("lab/settings", lines.encode()),
            Entry.file("lab/plan.json", json.dumps(plan).encode()),
        )
    )


def _encode(busybox: bytes, init: bytes, modules: tuple[Path, ...]) -> bytes:
    return encode_archive(
        (
            *(Entry.folder(name) for name in _FOLDERS),
            Entry.file("init", init, executable=True),
            Entry.file("bin/busybox", busybox, executable=True),
            *(Entry.link(f"bin/{name}", "busybox") for name in _APPLETS),
            *(Entry.file(f"lib/modules/{path.name}", path.read_bytes()) for path in modules),
        )
    )


def _unpack_busybox(cache: Cache, folder: Path) -> None:
    with fetch_package(cache, "busybox-static") as package:
        for path, data in read_package(package, "bin/busybox", "usr/bin/busybox"):
            (folder / Path(path).name).write_bytes(data)
    if not (folder / "busybox").exists():
        raise LabError("package busybox-static has no busybox")
