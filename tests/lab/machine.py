"""The QEMU command line: which machine, with which devices. Runs nothing.

q35, not microvm, which boots 0.15 s faster but has neither HPET nor ACPI timer: on a busy machine
the kernel then can't find the speed of the time stamp counter and stops for good (seen with Linux
6.1, QEMU 7.2).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from tests.lab.errors import LabError

__all__ = ["PORTS", "Architecture", "Forward", "Machine", "find_architecture"]

# The virtio-serial ports that connect the two halves, by name.
PORTS: Final = ("control", "stdout", "stderr")
_MEMORY_MB = 1536


@dataclass(frozen=True, kw_only=True, slots=True)
class Architecture:
    """What differs between processors."""

    program: str
    package: str
    machine: str
    emulated_cpu: str
    console: str


_ARCHITECTURES = {
    "x86_64": Architecture(
        program="qemu-system-x86_64",
        package="qemu-system-x86",
        machine="q35,vmport=off,smm=off",
        # x86-64-v2, what makes cryptography fast, and bmi1, bmi2 and adx, without all of which
        # pyblst 0.3.15 dies of SIGILL. "max" has vector instructions too, which the C library then
        # prefers: emulated, they take twice as long for bulk copies.
        emulated_cpu=(
            "qemu64,+ssse3,+sse4.1,+sse4.2,+popcnt,+rdrand,+aes,+pclmulqdq,+bmi1,+bmi2,+adx"
        ),
        console="ttyS0",
    ),
    "aarch64": Architecture(
        program="qemu-system-aarch64",
        package="qemu-system-arm",
        machine="virt,gic-version=max",
        emulated_cpu="cortex-a72",
        console="ttyAMA0",
    ),
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Forward:
    """A TCP port of this machine's loopback that leads to one of the guest."""

    host_port: int
    guest_port: int

    def __post_init__(self) -> None:
        """Refuses what is not a port."""
        if not (0 < self.host_port < 65536 and 0 < self.guest_port < 65536):
            raise ValueError(f"a port is 1 to 65535, not {self.host_port}:{self.guest_port}")


@dataclass(frozen=True, kw_only=True, slots=True)
class Machine:
    """One guest."""

    architecture: Architecture
    program: str
    is_accelerated: bool
    processors: int = 1
    counts_instructions: bool = False
    kernel: Path
    initramfs: Path
    console: Path
    shares: tuple[tuple[str, Path, bool], ...] = ()  # tag, folder, writable
    ports: Mapping[str, int] = field(default_factory=dict)  # name, descriptor of a connected socket
    disk: Path | None = None
    forwards: tuple[Forward, ...] = ()
    kernel_arguments: tuple[str, ...] = ()

    def command(self) -> list[str]:
        """The whole command line."""
        return [
            self.program,
            *("-nodefaults", "-no-user-config", "-no-reboot", "-display", "none"),
            *("-M", self.architecture.machine, *self._processors()),
            *("-m", str(_MEMORY_MB)),
            *("-kernel", str(self.kernel), "-initrd", str(self.initramfs)),
            *("-append", " ".join(self._append())),
            *("-serial", f"file:{_escape(self.console)}"),
            *("-device", "virtio-rng-pci"),
            *self._shares(),
            *self._ports(),
            *self._disk(),
            *self._network(),
        ]

    def _processors(self) -> Sequence[str]:
        count = ("-smp", str(self.processors))
        if self.is_accelerated:
            return ("-accel", "kvm", "-cpu", "host", *count)
        cpu = ("-cpu", self.architecture.emulated_cpu)
        if self.counts_instructions:
            # 2^0 ns each. Only one processor can count; while it idles, time is the host's.
            return ("-accel", "tcg,thread=single", "-icount", "shift=0", *cpu, *count)
        # A thread for each, and atomic instructions that really are: they cost more.
        threads = "multi" if self.processors > 1 else "single"
        return ("-accel", f"tcg,thread={threads}", *cpu, *count)

    def _append(self) -> Sequence[str]:
        # An oops ends the guest, which the lab sees; the rest saves time under emulation.
        return (
            f"console={self.architecture.console} loglevel=4 panic=-1 oops=panic",
            "mitigations=off audit=0 tsc=reliable cryptomgr.notests random.trust_cpu=on",
            *self.kernel_arguments,
        )

    def _shares(self) -> Sequence[str]:
        # security_model=none: the guest's root makes files as the user who runs the lab.
        # multidevs=remap: the tree spans file systems, whose inode numbers may collide.
        options: list[str] = []
        for tag, folder, is_writable in self.shares:
            mode = "" if is_writable else ",readonly=on"
            options += (
                "-fsdev",
                f"local,id={tag},path={_escape(folder)},security_model=none,multidevs=remap{mode}",
                *("-device", f"virtio-9p-pci,fsdev={tag},mount_tag={tag}"),
            )
        return options

    def _ports(self) -> Sequence[str]:
        options = ["-device", "virtio-serial-pci"] if self.ports else []
        for name, descriptor in self.ports.items():
            options += ("-chardev", f"socket,id={name},fd={descriptor}")
            options += ("-device", f"virtserialport,chardev={name},name={name}")
        return options

    def _disk(self) -> Sequence[str]:
        # cache=writeback is the mode that hides nothing: a write is in the host's page cache when
        # it is acknowledged, and the guest's flush is an fdatasync of the file.
        if self.disk is None:
            return ()
        place = f"nbd:unix:{self.disk}" if self.disk.is_socket() else str(self.disk)
        drive = f"if=none,id=disk,format=raw,cache=writeback,file={_escape(Path(place))}"
        return ("-drive", drive, "-device", "virtio-blk-pci,drive=disk")

    def _network(self) -> Sequence[str]:
        if not self.forwards:
            return ()
        rules = ",".join(
            f"hostfwd=tcp:127.0.0.1:{forward.host_port}-:{forward.guest_port}"
            for forward in self.forwards
        )
        return ("-netdev", f"user,id=net,{rules}", "-device", "virtio-net-pci,netdev=net,romfile=")


def find_architecture(system: str, name: str) -> Architecture:
    """By the system's and the processor's names, as uname has them.

    Raises: LabError for one that the lab doesn't know.
    """
    if system != "Linux":
        raise LabError(f"the lab runs on Linux, not on {system}")
    if name not in _ARCHITECTURES:
        raise LabError(f"the lab runs on {' and '.join(_ARCHITECTURES)}, not on {name}")
    return _ARCHITECTURES[name]


def _escape(path: Path) -> str:
    """QEMU ends an option's value at a comma; a doubled one stands for itself."""
    return str(path).replace(",", ",,")
