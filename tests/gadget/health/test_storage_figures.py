"""What card and file system tell, from folders that look like /sys with an SD card and an eMMC."""

from pathlib import Path

import pytest

from gadget.health.storage_figures import read_storage
from tests.gadget.health.sysfs import EMMC, SD_CARD, lay_out, mount_on


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    folder.mkdir()
    return folder


@pytest.fixture
def sys(tmp_path: Path) -> Path:
    folder = tmp_path / "sys"
    folder.mkdir()
    return folder


def test_an_sd_card_tells_no_wear_and_its_file_system_tells_errors(data: Path, sys: Path) -> None:
    mount_on(sys, data, SD_CARD, errors=3)
    storage = read_storage(data, sys)
    assert (storage.write_errors, storage.erase_wear_percent) == (3, None)
    assert (storage.problem, storage.read_only) == ("", False)
    assert 0 < storage.free_bytes <= storage.total_bytes


# JESD84-B51, DEVICE_LIFE_TIME_EST_TYP_A and _B: 0 not defined, n up to 10 n %, 0x0B exceeded.
@pytest.mark.parametrize(
    ("life_time", "percent"),
    [
        ("0x01 0x01", 10),
        ("0x02 0x03", 30),
        ("0x0a 0x00", 100),
        ("0x01 0x0b", 100),
        ("0x00 0x00", None),
        ("", None),
        ("new", None),
    ],
)
def test_an_emmc_tells_the_worse_of_its_two_kinds_of_cells(
    data: Path, sys: Path, life_time: str, percent: int | None
) -> None:
    card = mount_on(sys, data, EMMC)
    lay_out(card, {"life_time": f"{life_time}\n"})
    assert read_storage(data, sys).erase_wear_percent == percent


def test_a_file_system_without_a_partition_table_tells_the_same(data: Path, sys: Path) -> None:
    mount_on(sys, data, EMMC)
    (link,) = (sys / "dev/block").iterdir()
    whole = link.readlink().parent
    link.unlink()
    link.symlink_to(whole)
    assert read_storage(data, sys).erase_wear_percent == 30


def test_a_file_system_of_no_device_tells_its_space_only(data: Path, sys: Path) -> None:
    storage = read_storage(data, sys)
    assert (storage.write_errors, storage.erase_wear_percent, storage.problem) == (None, None, "")
    assert storage.total_bytes > 0


def test_a_folder_that_is_gone_is_a_problem(data: Path, sys: Path) -> None:
    data.rmdir()
    problem = read_storage(data, sys).problem
    assert problem == "the data folder can't be looked at: No such file or directory"
