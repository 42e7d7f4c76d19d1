"""What differs between boards: modules, device trees, boot files. Pure.

The root file system, /app and /data are the same bytes for all of them. A Raspberry Pi Zero 2 W and
a Pi 4 share one image, since their firmware picks its own section of config.txt.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from image.errors import BuildFailed
from image.kernel_modules import COMMON_MODULES

__all__ = ["BOARDS", "Board", "DeviceTree", "find_board"]

# A kernel that hangs or dies starts again. Lockdown: not even root may change the running kernel.
_ARGUMENTS: Final = "quiet loglevel=4 panic=10 oops=panic lockdown=integrity"


@dataclass(frozen=True, kw_only=True, slots=True)
class DeviceTree:
    """Args: source: in the kernel's package; peripheral: the node of the USB controller that is to
    be a device, where the kernel's own tree leaves the role open."""

    source: str
    peripheral: str = ""

    @property
    def name(self) -> str:
        return self.source.rpartition("/")[2]


@dataclass(frozen=True, kw_only=True, slots=True)
class Board:
    """One kind of image.

    Args:
        serves: boards by the names that a person types.
        modules: beside those that every board has, in the order of loading.
        firmware: files of raspi-firmware.
        texts: boot files that are texts, by path; `{arguments}` is the kernel's command line.
        packs_kernel: whether the boot loader is known to unpack a gzip file.
    """

    name: str
    serves: tuple[str, ...]
    modules: tuple[str, ...]
    console: str
    texts: Mapping[str, str]
    trees: tuple[DeviceTree, ...] = ()
    firmware: tuple[str, ...] = ()
    packs_kernel: bool = False
    needs_loader: bool = False

    @property
    def all_modules(self) -> tuple[str, ...]:
        return (*COMMON_MODULES, *self.modules)

    @property
    def arguments(self) -> str:
        return f"console={self.console} {_ARGUMENTS}"


_CONFIG: Final = """\
# tezsign. The kernel is Debian's, so are the device trees.
arm_64bit=1
kernel=kernel8.img
initramfs initrd.img followkernel
disable_splash=1
[pi02]
device_tree=bcm2837-rpi-zero-2-w.dtb
[pi4]
device_tree=bcm2711-rpi-4-b.dtb
[all]
"""
_EXTLINUX: Final = """\
default tezsign
timeout 0
label tezsign
  kernel /kernel8.img
  initrd /initrd.img
{tree}  append {{arguments}}
"""

BOARDS: Final = (
    Board(
        name="rpi",
        serves=("rpi-zero2w", "rpi4"),
        modules=(
            *("bcm2835", "sdhci-iproc", "fixed", "gpio-regulator", "i2c-bcm2835"),
            *("reset-raspberrypi", "phy-generic", "dwc2", "bcm2835-rng", "iproc-rng200"),
            *("bcm2835_wdt", "leds-gpio"),
        ),
        console="ttyS1,115200",
        texts={"config.txt": _CONFIG, "cmdline.txt": "{arguments}\n"},
        trees=(
            DeviceTree(source="broadcom/bcm2711-rpi-4-b.dtb"),
            DeviceTree(source="broadcom/bcm2837-rpi-zero-2-w.dtb", peripheral="/soc/usb@7e980000"),
        ),
        firmware=("bootcode.bin", "fixup.dat", "fixup4.dat", "start.elf", "start4.elf"),
        packs_kernel=True,
    ),
    Board(
        name="radxa-zero3",
        serves=("radxa-zero3",),
        modules=(
            *("fixed", "gpio-regulator", "gpio-rockchip", "i2c-rk3x", "fan53555"),
            *("rk8xx-i2c", "rk808-regulator", "io-domain", "dw_mmc-rockchip"),
            *("sdhci-of-dwcmshc", "phy-rockchip-inno-usb2", "phy-rockchip-naneng-combphy", "dwc3"),
            *("rockchip-rng", "dw_wdt", "leds-gpio"),
        ),
        console="ttyS2,1500000n8",
        texts={
            "extlinux/extlinux.conf": _EXTLINUX.format(tree="  fdt /rk3566-radxa-zero-3w.dtb\n")
        },
        trees=(DeviceTree(source="rockchip/rk3566-radxa-zero-3w.dtb", peripheral="/usb@fcc00000"),),
        needs_loader=True,
    ),
    Board(
        name="qemu-virt",
        serves=("qemu-virt",),
        modules=("virtio_mmio", "virtio_blk", "virtio-rng", "dummy_hcd"),
        console="ttyAMA0",
        texts={"extlinux/extlinux.conf": _EXTLINUX.format(tree="")},
    ),
)


def find_board(name: str) -> Board:
    """Args: name: as a person types it. Raises: BuildFailed for one that there is not."""
    for board in BOARDS:
        if name in (board.name, *board.serves):
            return board
    known = ", ".join(name for board in BOARDS for name in board.serves)
    raise BuildFailed(f"there is no board {name}, only {known}")
