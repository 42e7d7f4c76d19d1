"""What the board tells of itself: model, kernel, temperature, supply voltage. I/O on /sys.

What a board does not tell is None, or empty. Under-voltage is a Raspberry Pi's: what its firmware
has seen since the last two seconds. Source: Documentation/ABI/testing/sysfs-class-thermal and
Documentation/hwmon/raspberrypi-hwmon.rst of Linux.
"""

import os
from pathlib import Path
from typing import Final

from broker.contract import PROTOCOL_VERSION
from broker.version import VERSION
from gadget.health.figures import BoardFigures
from gadget.imageinfo import ImageInfo

__all__ = ["BoardFacts"]

_SYS: Final = Path("/sys")
_MODEL: Final = "firmware/devicetree/base/model"
_DMI: Final = "class/dmi/id/product_name"
_TEXT_CHARACTERS: Final = 80
# What device trees call the sensor of the processor: cpu-thermal, soc-thermal.
_PROCESSOR: Final = ("cpu", "soc")
_ALARM: Final = {"0": False, "1": True}


class BoardFacts:
    """Reads what never changes once, and the rest each time it is asked."""

    def __init__(self, image: ImageInfo, sys: Path = _SYS) -> None:
        self._image = image
        self._model = _text(sys / _MODEL) or _text(sys / _DMI)
        self._kernel = os.uname().release
        self._thermometer = _find_thermometer(sys)
        self._alarm = _find_alarm(sys)

    def read(self) -> BoardFigures:
        return BoardFigures(
            model=self._model,
            kernel=self._kernel,
            version=VERSION,
            protocol=PROTOCOL_VERSION,
            image_version=self._image.version,
            image_date=self._image.date,
            image_hash=self._image.hash,
            temperature_celsius=None if self._thermometer is None else _celsius(self._thermometer),
            under_voltage=None if self._alarm is None else _ALARM.get(_text(self._alarm)),
        )


def _find_thermometer(sys: Path) -> Path | None:
    """The processor's, or else the first one."""
    zones = sorted((sys / "class/thermal").glob("thermal_zone*"))
    of_processor = [zone for zone in zones if _text(zone / "type").startswith(_PROCESSOR)]
    return next((zone / "temp" for zone in (*of_processor, *zones)), None)


def _find_alarm(sys: Path) -> Path | None:
    for folder in sorted((sys / "class/hwmon").glob("hwmon*")):
        if _text(folder / "name") == "rpi_volt":
            return folder / "in0_lcrit_alarm"
    return None


def _celsius(file: Path) -> float | None:
    text = _text(file)
    return round(int(text) / 1000, 1) if text.lstrip("-").isdigit() else None


def _text(file: Path) -> str:
    try:
        text = file.read_bytes()
    except OSError:
        return ""
    return text.decode("utf-8", "replace").strip("\0\n ")[:_TEXT_CHARACTERS]
