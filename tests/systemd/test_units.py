"""The board as systemd has brought it up: units, accounts, permissions, sandboxes, the journal."""

import stat
from pathlib import Path
from typing import Final

import pytest

from tests.systemd.units import DAEMONS, journal, read_property, run

UNITS: Final = Path("/usr/lib/systemd/system")
OURS: Final = sorted(
    path.name for path in (Path(__file__).parents[2] / "builder" / "assets").glob("*.service")
)
ONESHOTS: Final = ("generate-serial", "setup-gadget")
EXPOSURE_LIMIT: Final = 1.5


def test_there_are_units_to_test() -> None:
    assert set(OURS) >= {f"{name}.service" for name in (*DAEMONS, *ONESHOTS)}


@pytest.mark.parametrize("unit", OURS)
def test_unit_is_verified_without_a_word(unit: str) -> None:
    assert run("systemd-analyze", "verify", "--man=no", str(UNITS / unit)) == ""


def test_nothing_has_failed_or_started_twice() -> None:
    assert run("systemctl", "list-units", "--failed", "--plain", "--no-legend") == ""
    for unit in DAEMONS:
        assert read_property(unit, "ActiveState") == "active"
        assert read_property(unit, "NRestarts") == "0"
    for unit in ONESHOTS:
        assert read_property(unit, "Result") == "success"
        assert read_property(unit, "ActiveState") == "inactive"


@pytest.mark.parametrize("unit", DAEMONS)
def test_exposure_is_low(unit: str) -> None:
    table = run("systemd-analyze", "security", "--no-pager", f"{unit}.service")
    (line,) = (line for line in table.splitlines() if "Overall exposure level" in line)
    exposure = float(line.split(":")[1].split()[0])
    print(f"{unit}: exposure {exposure}")
    assert exposure <= EXPOSURE_LIMIT


@pytest.mark.parametrize("unit", DAEMONS)
def test_limits_are_those_of_the_process(unit: str) -> None:
    pid = read_property(unit, "MainPID")
    limits = Path(f"/proc/{pid}/limits").read_text()
    rows = {line[:26].strip(): line[26:].split()[0] for line in limits.splitlines()}
    assert rows["Max open files"] == "4096"
    assert rows["Max processes"] == "256"
    assert rows["Max core file size"] == "0"
    assert rows["Max locked memory"] == ("unlimited" if unit == "tezsign" else "0")
    status = Path(f"/proc/{pid}/status").read_text()
    assert "CapEff:\t0000000000000000" in status
    assert "NoNewPrivs:\t1" in status
    assert "Seccomp:\t2" in status


@pytest.mark.parametrize("unit", DAEMONS)
def test_memory_is_far_from_its_limit(unit: str) -> None:
    peak = int(Path(f"/sys/fs/cgroup/system.slice/{unit}.service/memory.current").read_text())
    limit = int(read_property(unit, "MemoryMax"))
    print(f"{unit}: {peak >> 10} KiB of {limit >> 10}")
    assert peak < limit / 2


@pytest.mark.parametrize(
    ("path", "owner", "mode"),
    [
        ("/dev/ffs/tezsign/ep0", "registrar", 0o600),
        ("/dev/ffs/tezsign/ep1", "tezsign", 0o600),
        ("/dev/ffs/tezsign/ep4", "tezsign", 0o600),
        ("/run/tezsign/enabled.sock", "registrar", 0o660),
        ("/run/tezsign/ready.sock", "tezsign", 0o660),
        ("/run/tezsign/attach.sock", "root", 0o660),
        ("/data/tezsign", "tezsign", 0o700),
    ],
)
def test_file_has_the_one_owner_it_should_have(path: str, owner: str, mode: int) -> None:
    file = Path(path)
    assert (file.owner(), stat.S_IMODE(file.stat().st_mode)) == (owner, mode)


def test_serial_on_the_bus_is_the_one_that_was_generated() -> None:
    serial = Path("/run/tezsign/serial").read_text().strip()
    gadget = Path("/sys/kernel/config/usb_gadget/tezsign/strings/0x409/serialnumber")
    assert gadget.read_text().strip() == serial
    assert serial.strip("0")


@pytest.mark.parametrize(
    ("unit", "identifier", "message", "fields"),
    [
        ("tezsign", "tezsign", "gadget is up", {"DATA": "/data/tezsign"}),
        ("ffs_registrar", "ffs-registrar", "usb state changed", {"EVENT": "BIND"}),
    ],
)
def test_journal_has_structured_entries(
    unit: str, identifier: str, message: str, fields: dict[str, str]
) -> None:
    entry = next(e for e in journal(unit) if e["MESSAGE"] == message)
    expected = {"SYSLOG_IDENTIFIER": identifier, "PRIORITY": "6", **fields}
    assert {name: entry[name] for name in expected} == expected
    assert entry["LOGGER"].startswith(("gadget.", "registrar."))
