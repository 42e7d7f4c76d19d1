"""What boards tell of themselves, from folders that look like their /sys."""

from pathlib import Path

import pytest

from gadget.health.board_figures import BoardFacts
from gadget.health.figures import BoardFigures
from gadget.imageinfo import ImageInfo
from tests.gadget.health.sysfs import RASPBERRY_PI, ROCKCHIP, lay_out

ALARM = "class/hwmon/hwmon1/in0_lcrit_alarm"


def read(sys: Path) -> BoardFigures:
    return BoardFacts(ImageInfo(version="1", date=""), sys).read()


def test_a_raspberry_pi_tells_its_model_temperature_and_voltage(tmp_path: Path) -> None:
    board = read(lay_out(tmp_path, RASPBERRY_PI))
    assert board.model == "Raspberry Pi Zero 2 W Rev 1.0"
    assert (board.temperature_celsius, board.under_voltage) == (48.3, False)


def test_too_little_voltage_is_told_each_time_anew(tmp_path: Path) -> None:
    facts = BoardFacts(ImageInfo(version="1", date=""), lay_out(tmp_path, RASPBERRY_PI))
    told = []
    for alarm in ("1\n", "0\n", "1\n"):
        lay_out(tmp_path, {ALARM: alarm})
        told.append(facts.read().under_voltage)
    assert told == [True, False, True]


def test_the_sensor_of_the_processor_counts_wherever_it_is(tmp_path: Path) -> None:
    board = read(lay_out(tmp_path, ROCKCHIP))
    assert board.model == "Radxa ZERO 3W"
    assert (board.temperature_celsius, board.under_voltage) == (-1.2, None)


def test_a_sensor_of_another_name_is_better_than_none(tmp_path: Path) -> None:
    zone = "class/thermal/thermal_zone0"
    files = {f"{zone}/type": "acpitz\n", f"{zone}/temp": "27800\n"}
    assert read(lay_out(tmp_path, files)).temperature_celsius == 27.8


def test_a_virtual_machine_tells_its_product_and_nothing_else(tmp_path: Path) -> None:
    files = {"class/dmi/id/product_name": "Standard PC (Q35 + ICH9, 2009)\n"}
    board = read(lay_out(tmp_path, files))
    assert board.model == "Standard PC (Q35 + ICH9, 2009)"
    assert (board.temperature_celsius, board.under_voltage) == (None, None)


@pytest.mark.parametrize("junk", ["", "-\n", "warm\n"])
def test_a_sensor_that_is_broken_tells_nothing(tmp_path: Path, junk: str) -> None:
    lay_out(tmp_path, RASPBERRY_PI)
    board = read(lay_out(tmp_path, {"class/thermal/thermal_zone0/temp": junk, ALARM: junk}))
    assert (board.temperature_celsius, board.under_voltage) == (None, None)


def test_a_sensor_that_cannot_be_read_tells_nothing(tmp_path: Path) -> None:
    """A read of either may fail in the driver: EAGAIN, EIO. A folder fails as well."""
    lay_out(tmp_path, RASPBERRY_PI)
    for name in ("class/thermal/thermal_zone0/temp", ALARM):
        (tmp_path / name).unlink()
        (tmp_path / name).mkdir()
    board = read(tmp_path)
    assert (board.temperature_celsius, board.under_voltage) == (None, None)
