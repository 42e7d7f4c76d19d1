"""A folder that looks like the part of /sys which the health report reads.

Folders and links are where the kernel has them on a Raspberry Pi and on a Rockchip board; what the
files contain is written as the drivers that are named beside it print it.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final

__all__ = ["EMMC", "RASPBERRY_PI", "ROCKCHIP", "SD_CARD", "lay_out", "mount_on"]

# Documentation/hwmon/raspberrypi-hwmon.rst: in0_lcrit_alarm; hwmon_in_lcrit_alarm prints "%ld\n".
# Documentation/ABI/testing/sysfs-class-thermal: temp in millidegree Celsius, "%d\n".
# Documentation/ABI/testing/sysfs-firmware-ofw: device tree properties, strings end with a null.
RASPBERRY_PI: Final[Mapping[str, str]] = {
    "firmware/devicetree/base/model": "Raspberry Pi Zero 2 W Rev 1.0\0",
    "class/thermal/thermal_zone0/type": "cpu-thermal\n",
    "class/thermal/thermal_zone0/temp": "48312\n",
    "class/hwmon/hwmon0/name": "cpu_thermal\n",
    "class/hwmon/hwmon0/temp1_input": "48312\n",
    "class/hwmon/hwmon1/name": "rpi_volt\n",
    "class/hwmon/hwmon1/in0_lcrit_alarm": "0\n",
}
ROCKCHIP: Final[Mapping[str, str]] = {
    "firmware/devicetree/base/model": "Radxa ZERO 3W\0",
    "class/thermal/thermal_zone0/type": "gpu-thermal\n",
    "class/thermal/thermal_zone0/temp": "41111\n",
    "class/thermal/thermal_zone1/type": "cpu-thermal\n",
    "class/thermal/thermal_zone1/temp": "-1250\n",
    "class/hwmon/hwmon0/name": "cpu_thermal\n",
}

_HOST: Final = "devices/platform/soc/3f202000.mmc/mmc_host/mmc0"
# drivers/mmc/core/sd.c and mmc.c, MMC_DEV_ATTR: type "SD" or "MMC"; only an eMMC has
# life_time, "0x%02x 0x%02x\n", which is EXT_CSD 268 and 269.
SD_CARD: Final[Mapping[str, str]] = {
    "type": "SD\n",
    "name": "SC32G\n",
    "preferred_erase_size": "4194304\n",
}
EMMC: Final[Mapping[str, str]] = {
    "type": "MMC\n",
    "name": "DG4016\n",
    "pre_eol_info": "0x01\n",
    "life_time": "0x02 0x03\n",
}


def lay_out(sys: Path, files: Mapping[str, str]) -> Path:
    """Writes the files, over what is there. Returns `sys`."""
    for name, content in files.items():
        file = sys / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content)
    return sys


def mount_on(sys: Path, folder: Path, card: Mapping[str, str], errors: int = 0) -> Path:
    """Has the file system of `folder` on partition 4 of a card, as ext4. Returns the card's
    folder.

    sysfs has dev/block/MAJOR:MINOR as a link to the partition, within the folder of the whole
    device, whose link `device` leads to the card.
    """
    disk = sys / _HOST / "mmc0:aaaa/block/mmcblk0"
    (disk / "mmcblk0p4").mkdir(parents=True)
    (disk / "device").symlink_to("../../../mmc0:aaaa")
    place = lay_out(disk.parent.parent, card)
    number = folder.stat().st_dev
    link = sys / "dev/block" / f"{os.major(number)}:{os.minor(number)}"
    link.parent.mkdir(parents=True)
    link.symlink_to(f"../../{_HOST}/mmc0:aaaa/block/mmcblk0/mmcblk0p4")
    # fs/ext4/sysfs.c, errors_count: "%u\n", a folder for each mounted device.
    lay_out(sys, {"fs/ext4/mmcblk0p4/errors_count": f"{errors}\n"})
    return place
