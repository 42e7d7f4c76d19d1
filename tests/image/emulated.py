"""The machines of QEMU that boot an image of ours: how each is called, and what it needs beside the
image."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

__all__ = ["RASPI3B", "VIRT", "Emulated"]

Words = tuple[str, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Emulated:
    """Args:
    board: whose image it boots.
    machine: QEMU's words for it.
    plug: the words that connect its card, and the socket of its agent.
    port: the agent's end of it, in the guest's /dev.
    partition: what /dev calls the card's partitions, without their number.
    console: where the kernel talks, if not where the image has it talk.
    modules: what the image has not, and the test needs.
    tree: the device tree, of the kernel's package.
    """

    board: str
    machine: Words
    plug: Callable[[Path, int], Words]
    port: str
    partition: str
    console: str = ""
    modules: Words
    tree: str = ""


def _plug_virt(card: Path, socket: int) -> Words:
    return (
        *("-drive", f"if=none,id=card,format=raw,file={card},cache=unsafe"),
        *("-device", "virtio-blk-device,drive=card", "-device", "virtio-rng-device"),
        *("-chardev", f"socket,id=agent,fd={socket}", "-device", "virtio-serial-device"),
        *("-device", "virtserialport,chardev=agent", "-serial", "chardev:console"),
    )


def _plug_raspi3b(card: Path, socket: int) -> Words:
    return (
        *("-drive", f"if=sd,format=raw,file={card},cache=unsafe"),
        *("-chardev", f"socket,id=agent,fd={socket}"),
        *("-serial", "chardev:console", "-serial", "chardev:agent"),
    )


_CHECKS: Final = ("vfat", "nls_cp437", "nls_ascii")
VIRT: Final = Emulated(
    board="qemu-virt",
    machine=(
        *("-M", "virt,gic-version=2", "-accel", "tcg,thread=multi", "-cpu", "cortex-a53"),
        *("-m", "512", "-smp", "2"),
    ),
    plug=_plug_virt,
    port="vport*p1",
    partition="vda",
    modules=("virtio_console", *_CHECKS),
)
# The nearest to a Zero 2 W that there is. Its USB controller is no device in QEMU: dummy_hcd is.
# One thread: three processors that wait for work would take the time of the one that has some.
RASPI3B: Final = Emulated(
    board="rpi-zero2w",
    machine=("-M", "raspi3b", "-accel", "tcg,thread=single"),
    plug=_plug_raspi3b,
    port="ttyS1",
    partition="mmcblk0p",
    console="ttyAMA0",
    modules=("dummy_hcd", *_CHECKS),
    tree="broadcom/bcm2837-rpi-3-b.dtb",
)
