"""What the board tells of itself: model, kernel, temperature, supply voltage. I/O on /sys.

What a board does not tell is None, or empty. Under-voltage is a Raspberry Pi's, by its hwmon device
(drivers/hwmon/raspberrypi-hwmon.c).
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


class BoardFacts:
    """Reads what never changes once, and the rest each time it is asked."""

    def __init__(self, image: ImageInfo, sys: Path = _SYS) -> None:
        self._image = image
        self._sys = sys
        self._model = _text(sys / _MODEL) or _text(sys / _DMI)
        self._kernel = os.uname().release
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
            temperature_celsius=_celsius(self._sys / "class/thermal/thermal_zone0/temp"),
            under_voltage=None if self._alarm is None else _text(self._alarm) == "1",
        )


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
