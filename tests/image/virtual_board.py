"""A built image as a running machine: QEMU boots its own kernel and initramfs, from its own card.

The card is a copy that may be cut, damaged and booted again. What the test needs inside comes
beside it and never with it: an archive behind the image's initramfs, whose `switch_root` puts the
agent, the host's side and a unit into /run just before the image's first program becomes systemd.
"""

import json
import re
import shutil
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import usb

from image.boards import find_board
from image.byte_code import compile_tree
from image.cpio import Entry, encode_archive
from image.fat_reader import read_fat
from image.initramfs import INIT
from image.kernel_modules import find_modules
from image.materials import Materials, find_module_folder
from image.partitions import BOOT
from image.stage import unpack
from tests.image.emulated import VIRT, Emulated
from tests.lab.cache import open_cache
from tests.lab.packages import find_program
from tests.process.child import Child

__all__ = ["AgentFailed", "Kit", "VirtualBoard", "boot", "make_kit"]

_PROJECT: Final = Path(__file__).resolve().parents[2]
_GUEST: Final = Path(__file__).with_name("guest")
_UNITS: Final = "/run/systemd/system"
_SERVICE: Final = """\
[Unit]
Description=The test's agent
# It must not take the time of those that it is to look at.
After=tezsign.service
[Service]
ExecStart=/usr/bin/python3 -BI /run/test/agent.py
StandardOutput=journal+console
StandardError=journal+console
"""
# Two emulated processors on a busy machine need more than the 30 s of the units.
_PATIENT: Final = "[Service]\nTimeoutStartSec=240\n"
_EMULATED: Final = ("tezsign", "ffs_registrar", "attach-gadget", "setup-gadget", "generate-serial")
_SWITCH_ROOT: Final = f"""\
#!/bin/busybox sh
set -e
mkdir -p /run/test {_UNITS}/multi-user.target.wants
cp -r /test/kit/. /run/test
cp /test/agent.service {_UNITS}/
ln -s ../agent.service {_UNITS}/multi-user.target.wants/agent.service
for unit in {" ".join(_EMULATED)}; do
    mkdir {_UNITS}/$unit.service.d
    cp /test/patient.conf {_UNITS}/$unit.service.d/
done
exec /bin/busybox switch_root "$@"
"""
_BOOT_S: Final = 300.0
_ANSWER_S: Final = 240.0


class AgentFailed(AssertionError):
    """The operation raised inside the guest; the text is its trace."""


@dataclass(frozen=True, kw_only=True)
class Kit:
    """What a boot needs beside the card.

    Args: overlay: an archive for the initramfs; words: of the machine, and those of its board.
    """

    machine: Emulated
    overlay: bytes
    words: tuple[str, ...]


def make_kit(
    materials: Materials,
    folder: Path,
    *,
    machine: Emulated = VIRT,
    modules: tuple[str, ...] = (),
    ssh_key: bytes = b"",
) -> Kit:
    """Args:
    folder: an empty one, for as long as the kit is used.
    modules: of this image beside those of its board.
    ssh_key: for an ssh client in the guest, in dropbear's format.
    """
    tree = folder / "tree"
    _fill_tree(tree, materials)
    (tree / "port").write_text(machine.port)
    if ssh_key:
        (tree / "ssh-key").write_bytes(ssh_key)
        stage = unpack(materials.cache, [p for p in materials.lock if p.part in ("root", "dev")])
        shutil.copyfile(stage / "usr/bin/dbclient", tree / "dbclient")
        (tree / "dbclient").chmod(0o755)
    words = [find_program(open_cache(), "qemu-system-aarch64", "qemu-system-arm"), *machine.machine]
    if machine.tree:
        (package,) = (materials.stages.kernel / "usr/lib").glob("linux-image-*")
        words += ["-dtb", str(package / machine.tree)]
    overlay = _make_overlay(materials, tree, machine, modules)
    return Kit(machine=machine, overlay=overlay, words=tuple(words))


def _fill_tree(tree: Path, materials: Materials) -> None:
    """The agent, the host's side, and the tools that ask systemd."""
    (tree / "lib").mkdir(parents=True)
    for package in ("host", "tests"):
        (tree / "project" / package).mkdir(parents=True)
    for path in (_PROJECT / "host").glob("*.py"):
        shutil.copyfile(path, tree / "project/host" / path.name)
    for name in ("__init__.py", "payloads.py"):
        shutil.copyfile(_PROJECT / "tests" / name, tree / "project/tests" / name)
    left_out = shutil.ignore_patterns("__pycache__")
    shutil.copytree(Path(usb.__path__[0]), tree / "site/usb", ignore=left_out)
    for name in ("project", "site"):
        compile_tree(materials.tools, tree / name, place=f"/run/test/{name}")
    shutil.copyfile(_GUEST / "agent.py", tree / "agent.py")
    stage = unpack(materials.cache, [p for p in materials.lock if p.part == "test"])
    for name in ("libusb-1.0.so.0", "libudev.so.1"):
        shutil.copyfile((stage / "usr/lib/aarch64-linux-gnu" / name).resolve(), tree / "lib" / name)
    for name in ("journalctl", "systemctl", "systemd-analyze"):
        shutil.copyfile(materials.stages.root / "usr/bin" / name, tree / name)
        (tree / name).chmod(0o755)


def _make_overlay(
    materials: Materials, tree: Path, machine: Emulated, more: tuple[str, ...]
) -> bytes:
    folder = find_module_folder(materials.stages.kernel)
    present = find_modules(folder, (*find_board(machine.board).all_modules, *more))
    modules = find_modules(folder, (*present, *machine.modules))
    added = {name: data for name, data in modules.items() if name not in present}
    return encode_archive(
        (
            Entry.folder("test"),
            Entry.file("test/agent.service", _SERVICE.encode()),
            Entry.file("test/patient.conf", _PATIENT.encode()),
            Entry.file("test/switch_root", _SWITCH_ROOT.encode(), executable=True),
            Entry.folder("test/kit"),
            *_list_tree(tree),
            Entry.file("init", _change_init(), executable=True),
            *(Entry.link(f"bin/{name}", "busybox") for name in ("cp", "ln", "mkdir")),
            Entry.file("lib/modules/order", "".join(f"{name}\n" for name in modules).encode()),
            *(Entry.file(f"lib/modules/{name}.ko", data) for name, data in added.items()),
        )
    )


def _list_tree(tree: Path) -> Iterator[Entry]:
    for path in sorted(tree.rglob("*")):
        place = f"test/kit/{path.relative_to(tree)}"
        if path.is_dir():
            yield Entry.folder(place)
        else:
            executable = bool(path.stat().st_mode & 0o100)
            yield Entry.file(place, path.read_bytes(), executable=executable)


def _change_init() -> bytes:
    """Only its last line: this shell prefers its own switch_root to whatever lies in PATH."""
    text = INIT.read_bytes()
    assert text.count(b"\nexec switch_root ") == 1
    return text.replace(b"\nexec switch_root ", b"\nexec /test/switch_root ")


class VirtualBoard:
    """A booted card. `boot` makes it."""

    def __init__(self, qemu: Child, port: socket.socket) -> None:
        self._qemu = qemu
        self._port = port
        self._lines = port.makefile("rb")

    def ask(self, operation: str, **arguments: Any) -> Any:
        """Returns what the agent's operation returns. Raises: AgentFailed."""
        return self.ask_saying(operation, **arguments)[1]

    def ask_saying(self, operation: str, **arguments: Any) -> tuple[list[Any], Any]:
        """Returns what it said meanwhile, too."""
        self.begin(operation, **arguments)
        said = []
        while True:
            line = self.read()
            if "said" not in line:
                break
            said.append(line["said"])
        if "failed" in line:
            raise AgentFailed(line["failed"])
        return said, line["answer"]

    def begin(self, operation: str, **arguments: Any) -> None:
        """Sends a request; the caller reads."""
        self._port.sendall(json.dumps({"operation": operation, **arguments}).encode() + b"\n")

    def read(self) -> dict[str, Any]:
        """One line of the agent's. Raises: TimeoutError; EOFError once the machine is gone."""
        line = self._lines.readline()
        if not line.endswith(b"\n"):
            raise EOFError("the machine is gone")
        content: dict[str, Any] = json.loads(line)
        return content

    def cut_power(self) -> list[dict[str, Any]]:
        """The machine ends where it is. Returns what the agent had said until then."""
        self._qemu.kill()
        self._qemu.wait(30)
        lines = self._lines.readlines()
        return [json.loads(line) for line in lines if line.endswith(b"\n")]


@contextmanager
def boot(card: Path, kit: Kit, folder: Path) -> Iterator[VirtualBoard]:
    """Boots until the agent answers; the power is cut at the end of the block.

    Args: folder: gets console.log; one for each boot.
    """
    folder.mkdir()
    arguments = _unpack_boot(card, kit, folder)
    ours, theirs = socket.socketpair()
    # The console goes to a file, so that nobody has to read it.
    command = [
        *(*kit.words, "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"),
        *("-kernel", str(folder / "kernel8.img"), "-initrd", str(folder / "initrd")),
        *("-append", f"{arguments} panic=-1 systemd.journald.forward_to_console=1"),
        *("-chardev", f"file,id=console,path={folder / 'console.log'}"),
        *kit.machine.plug(card, theirs.fileno()),
    ]
    with ours, theirs, Child(command, inherited=(theirs.fileno(),)) as qemu:
        theirs.close()
        ours.settimeout(_BOOT_S)
        board = VirtualBoard(qemu, ours)
        try:
            assert board.read() == {"said": "here"}
            ours.settimeout(_ANSWER_S)
            yield board
        except BaseException:
            sys.stderr.write((folder / "console.log").read_text(errors="replace")[-6000:])
            raise
        finally:
            qemu.kill()


def _unpack_boot(card: Path, kit: Kit, folder: Path) -> str:
    """Returns the kernel's command line, as a boot loader would read it on the card."""
    with card.open("rb") as file:
        file.seek(BOOT.start)
        files = read_fat(file.read(BOOT.size))
    (folder / "kernel8.img").write_bytes(files["kernel8.img"])
    initrd = files["initrd.img"]
    (folder / "initrd").write_bytes(initrd + bytes(-len(initrd) % 4) + kit.overlay)
    if "cmdline.txt" in files:
        arguments = files["cmdline.txt"].decode().strip()
    else:
        lines = files["extlinux/extlinux.conf"].decode().splitlines()
        (arguments,) = (line.split("append ")[1] for line in lines if "append " in line)
    console = kit.machine.console
    return re.sub(r"console=\S+", f"console={console}", arguments) if console else arguments
