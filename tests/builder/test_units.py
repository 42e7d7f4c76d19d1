"""What every unit promises, read from the files; what systemd makes of them: tests/systemd."""

import plistlib
import re
from pathlib import Path

import pytest

from tests.builder.programs import ASSETS

UNITS = {path.stem: path.read_text() for path in ASSETS.glob("*.service")}
DAEMONS = ("tezsign", "ffs_registrar", "attach-gadget", "attach-gadget-dev", "tezsign-host")
ONESHOTS = ("setup-gadget", "generate-serial", "wait-for-chrony")
RESTART_LIMIT_S = 3.0
DAEMON_SETTINGS = {
    "Type": "notify",
    "Restart": "always",
    "TimeoutStartSec": "30",
    "TimeoutStopSec": "30",
    "StartLimitIntervalSec": "0",
    "WatchdogSec": "60",
}
SETTINGS = {
    "StandardOutput": "journal",
    "StandardError": "journal",
    "LimitNOFILE": "4096",
    "LimitNPROC": "256",
    "LimitCORE": "0",
    "NoNewPrivileges": "yes",
}
# What a unit sets, or says why it doesn't.
SANDBOX = (
    *("CapabilityBoundingSet", "IPAddressDeny", "LockPersonality", "MemoryDenyWriteExecute"),
    *("PrivateDevices", "PrivateIPC", "PrivateNetwork", "PrivateTmp", "PrivateUsers", "ProcSubset"),
    *("ProtectClock", "ProtectControlGroups", "ProtectHome", "ProtectHostname"),
    *("ProtectKernelLogs", "ProtectKernelModules", "ProtectKernelTunables", "ProtectProc"),
    *("ProtectSystem", "RemoveIPC", "RestrictAddressFamilies", "RestrictNamespaces"),
    *("RestrictRealtime", "RestrictSUIDSGID", "SystemCallArchitectures", "SystemCallFilter"),
    *("UMask", "User"),
)


def read(unit: str) -> dict[str, str]:
    return dict(re.findall(r"^(\w+)=(.*)$", UNITS[unit], re.MULTILINE))


def test_all_units_are_there() -> None:
    assert set(UNITS) == {*DAEMONS, *ONESHOTS}


@pytest.mark.parametrize("unit", DAEMONS)
def test_daemon_is_always_there(unit: str) -> None:
    settings = read(unit)
    assert {name: settings.get(name) for name in DAEMON_SETTINGS} == DAEMON_SETTINGS
    number, scale = re.fullmatch(r"(\d+)(ms|)", settings["RestartSec"]).groups()  # type: ignore[union-attr]
    assert int(number) / (1000 if scale else 1) <= RESTART_LIMIT_S


@pytest.mark.parametrize("unit", ONESHOTS)
def test_oneshot_ends(unit: str) -> None:
    assert read(unit)["Type"] == "oneshot"
    assert read(unit).get("Restart", "no") in ("no", "on-failure")


@pytest.mark.parametrize("unit", sorted(UNITS))
def test_unit_is_limited_and_confined_or_says_why_not(unit: str) -> None:
    settings = read(unit)
    assert {name: settings.get(name) for name in SETTINGS} == SETTINGS
    if settings.get("DynamicUser") == "yes":
        settings.setdefault("User", "of its own")
    assert "RemainAfterExit" not in settings
    assert settings.keys() >= {"MemoryMax", "TasksMax", "LimitMEMLOCK"}
    _, _, left_out = UNITS[unit].partition("# Left out:")
    unexplained = [name for name in SANDBOX if name not in settings and name not in left_out]
    assert not unexplained


@pytest.mark.parametrize("unit", sorted(UNITS))
def test_what_a_unit_starts_is_there(unit: str) -> None:
    daemons = {"/app/bin/tezsign-gadget", "/app/bin/ffs-registrar", "/opt/tezsign/bin/tezsign"}
    for path in re.findall(r"^ExecStart(?:Pre)?=(\S+)", UNITS[unit], re.MULTILINE):
        assert path in daemons or (ASSETS / Path(path).name).is_file()


def test_signer_waits_by_itself() -> None:
    settings = read("tezsign")
    assert not settings.keys() & {"Requires", "Wants", "BindsTo", "Requisite", "PartOf"}
    assert "ffs_registrar" not in settings["After"]


def test_macos_keeps_it_running() -> None:
    agent = plistlib.loads((ASSETS / "tezsign-host.plist").read_bytes())
    assert agent["KeepAlive"] is True
    assert agent["RunAtLoad"] is True
    assert agent["ProgramArguments"][1:] == ["run"]


def test_host_rule_gives_access_and_keeps_the_board_awake() -> None:
    rule = (ASSETS / "99-tezsign.rules").read_text()
    assert 'ATTR{power/control}="on"' in rule
    assert 'GROUP="plugdev"' in rule
    assert 'RUN{builtin}+="uaccess"' in rule
