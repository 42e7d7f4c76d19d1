"""One run of the lab, from the arguments to the exit status. `run_command` is the main flow."""

import compileall
import contextlib
import platform
import socket
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.lab.accelerator import is_kvm_usable
from tests.lab.arguments import Arguments
from tests.lab.boot_files import encode_settings, find_initramfs
from tests.lab.cache import open_cache
from tests.lab.conversation import Conversation
from tests.lab.errors import LabError
from tests.lab.kernel import find_kernel
from tests.lab.layer import find_layer
from tests.lab.machine import PORTS, Machine, find_architecture
from tests.lab.memory_file import MemoryFile
from tests.lab.packages import find_program
from tests.lab.plan import PROJECT, create_plan
from tests.lab.qemu import run_qemu

__all__ = ["run_command"]

_TAIL_LINES = 100
_DISK_BYTES = 64 * 1024 * 1024


def run_command(arguments: Arguments) -> int:
    """Boots a guest, runs the command in it and gives its exit status.

    Raises: LabError if the lab can't be had, or the guest dies.
    """
    plan = create_plan(arguments)
    cache = open_cache()
    architecture = find_architecture(platform.system(), platform.machine())
    program = find_program(cache, architecture.program, architecture.package)
    kernel = find_kernel(cache, platform.machine())
    initramfs = find_initramfs(cache, kernel)
    is_accelerated = not arguments.count_instructions and is_kvm_usable(
        cache, architecture, program, kernel.image, initramfs
    )
    layer = find_layer(cache) if arguments.systemd else None
    _prepare_files(arguments)
    _compile_project()
    archive = initramfs + encode_settings(plan.settings, plan.details)
    with _open_channels(archive) as channels:
        machine = Machine(
            architecture=architecture,
            program=program,
            is_accelerated=is_accelerated,
            processors=arguments.processors,
            counts_instructions=arguments.count_instructions,
            kernel=kernel.image,
            initramfs=channels.initramfs.path,
            console=arguments.out / "console.log" if arguments.out else channels.console.path,
            shares=_choose_shares(arguments, layer),
            ports={name: theirs.fileno() for name, theirs in channels.theirs.items()},
            disk=arguments.disk,
            forwards=arguments.forwards,
        )
        return _run(machine, channels, arguments.timeout_s)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Channels:
    """What connects the lab with QEMU: of each port our end and QEMU's, and the files."""

    ours: Mapping[str, socket.socket]
    theirs: Mapping[str, socket.socket]
    initramfs: MemoryFile
    console: MemoryFile
    log: MemoryFile


@contextlib.contextmanager
def _open_channels(archive: bytes) -> Iterator[_Channels]:
    with contextlib.ExitStack() as stack:
        pairs = {name: socket.socketpair() for name in PORTS}
        for pair in pairs.values():
            for end in pair:
                stack.enter_context(end)
        yield _Channels(
            ours={name: ours for name, (ours, _) in pairs.items()},
            theirs={name: theirs for name, (_, theirs) in pairs.items()},
            initramfs=stack.enter_context(MemoryFile.create("initramfs", archive)),
            console=stack.enter_context(MemoryFile.create("console")),
            log=stack.enter_context(MemoryFile.create("qemu")),
        )


def _run(machine: Machine, channels: _Channels, timeout_s: float | None) -> int:
    inherited = [
        channels.initramfs.descriptor,
        channels.console.descriptor,
        *machine.ports.values(),
    ]
    try:
        with run_qemu(machine.command(), log=channels.log.path, inherited=inherited) as qemu:
            for theirs in channels.theirs.values():
                theirs.close()  # QEMU has it; when QEMU ends, ours reads as ended
            return Conversation(channels.ours, qemu.pid).run(timeout_s)
    except LabError as error:
        console, log = _tail("console", machine.console), _tail("qemu", channels.log.path)
        raise LabError(f"{error}{console}{log}") from error


def _tail(name: str, log: Path) -> str:
    lines = log.read_text(errors="replace").splitlines()[-_TAIL_LINES:]
    return "".join(f"\n  {name}: {line}" for line in lines)


def _prepare_files(arguments: Arguments) -> None:
    try:
        if arguments.out is not None:
            arguments.out.mkdir(parents=True, exist_ok=True)
        if arguments.disk is not None and not arguments.disk.exists():
            with arguments.disk.open("xb") as disk:
                disk.truncate(_DISK_BYTES)
    except OSError as error:
        raise LabError(str(error)) from error


def _compile_project() -> None:
    """Brings the byte code up to date: the guest can't write it, and compiles ten times slower."""
    for package in PROJECT.glob("*/__init__.py"):
        compileall.compile_dir(package.parent, quiet=2)


def _choose_shares(arguments: Arguments, layer: Path | None) -> tuple[tuple[str, Path, bool], ...]:
    shares = (("root", Path("/"), False), ("layer", layer, False), ("out", arguments.out, True))
    return tuple((tag, path, is_writable) for tag, path, is_writable in shares if path is not None)
