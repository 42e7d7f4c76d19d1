"""Whether KVM works here: opening /dev/kvm proves nothing, on some machines the guest then hangs.

So a guest that only says it is alive gets a few seconds. The answer is kept until the machine
reboots.
"""

import os
import time
from pathlib import Path

from tests.lab.boot_files import encode_settings
from tests.lab.cache import Cache, name_content
from tests.lab.machine import Architecture, Machine
from tests.lab.memory_file import MemoryFile
from tests.lab.qemu import run_qemu

__all__ = ["is_kvm_usable"]

_DEVICE = "/dev/kvm"
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_LIMIT_S = 5.0
_POLL_S = 0.05
_ALIVE = b"tezsign-lab: alive"  # said by guest/init


def is_kvm_usable(
    cache: Cache, architecture: Architecture, program: str, kernel: Path, initramfs: bytes
) -> bool:
    """Finds out once for each boot of this machine. Args: initramfs: without settings."""
    if not os.access(_DEVICE, os.R_OK | os.W_OK):
        return False
    name = "kvm-" + name_content(_BOOT_ID.read_bytes(), str(kernel).encode())

    def answer() -> bytes:
        return b"yes" if _try_kvm(architecture, program, kernel, initramfs) else b"no"

    return cache.find_file(name, answer).read_bytes() == b"yes"


def _try_kvm(architecture: Architecture, program: str, kernel: Path, initramfs: bytes) -> bool:
    archive = initramfs + encode_settings({"PROBE": "yes"}, None)
    with (
        MemoryFile.create("initramfs", archive) as boot,
        MemoryFile.create("console") as console,
        MemoryFile.create("qemu") as log,
    ):
        machine = Machine(
            architecture=architecture,
            program=program,
            is_accelerated=True,
            kernel=kernel,
            initramfs=boot.path,
            console=console.path,
        )
        inherited = (boot.descriptor, console.descriptor)
        deadline = time.monotonic() + _LIMIT_S
        with run_qemu(machine.command(), log=log.path, inherited=inherited) as qemu:
            while qemu.poll() is None and time.monotonic() < deadline:
                time.sleep(_POLL_S)
        return _ALIVE in console.path.read_bytes()
