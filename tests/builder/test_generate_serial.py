"""The board's serial number: found where firmware puts it, made up of what else differs."""

from pathlib import Path

import pytest

from tests.builder.programs import load_program

CPU_INFO = "processor\t: 0\nModel name\t: x\nSerial\t\t: {}\nModel\t\t: Raspberry Pi\n"
PROGRAM = load_program("generate-serial")


def write(root: Path, name: str, content: str) -> None:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)


def test_device_tree_comes_first_without_its_zero_byte(tmp_path: Path) -> None:
    write(tmp_path, "proc/device-tree/serial-number", "10000000abcdef01\0")
    write(tmp_path, "proc/cpuinfo", CPU_INFO.format("2222222222222222"))
    assert PROGRAM.find_serial(tmp_path) == "10000000abcdef01"


@pytest.mark.parametrize("unset", ["", "0000000000000000\0", "with space\0", "x" * 65])
def test_processor_is_asked_where_the_device_tree_has_nothing_to_use(
    tmp_path: Path, unset: str
) -> None:
    write(tmp_path, "proc/device-tree/serial-number", unset)
    write(tmp_path, "proc/cpuinfo", CPU_INFO.format("00000000abcdef01"))
    assert PROGRAM.find_serial(tmp_path) == "00000000abcdef01"


@pytest.mark.parametrize(
    "name",
    ["sys/class/dmi/id/product_uuid", "sys/block/mmcblk1/device/cid", "etc/machine-id"],
)
def test_fallback_differs_between_machines_and_does_not_show_its_source(
    tmp_path: Path, name: str
) -> None:
    write(tmp_path, "proc/cpuinfo", CPU_INFO.format("0000000000000000"))
    write(tmp_path, name, "4c4c4544-0042\n")
    serial = PROGRAM.find_serial(tmp_path)
    assert PROGRAM.PATTERN.fullmatch(serial)
    assert "4c4c4544" not in serial
    assert PROGRAM.find_serial(tmp_path) == serial
    write(tmp_path, name, "4c4c4544-0043\n")
    assert PROGRAM.find_serial(tmp_path) != serial


def test_machine_that_nothing_tells_from_others_has_no_serial(tmp_path: Path) -> None:
    write(tmp_path, "sys/class/dmi/id/product_uuid", "00000000-0000-0000-0000-000000000000\n")
    assert PROGRAM.find_serial(tmp_path) is None


def test_serial_that_is_there_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEZSIGN_RUN", str(tmp_path))
    (tmp_path / "serial").write_text("mine\n")
    assert PROGRAM.main() == 0
    assert (tmp_path / "serial").read_text() == "mine\n"
