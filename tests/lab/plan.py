"""What the guest is told: settings for its first stage, the plan for its second. Runs nothing."""

import os
import sys
import sysconfig
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.lab.arguments import Arguments
from tests.lab.errors import LabError

__all__ = ["PROJECT", "Plan", "create_plan"]

PROJECT = Path(__file__).resolve().parents[2]
_PASSED = ("HOME", "TERM", "LANG", "USER")
_PASSED_PREFIXES = ("TEZSIGN_", "HYPOTHESIS_", "PYTEST_", "LC_")
_SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
# The guest has its own of these, so nothing of the host's can be reached under them.
_HIDDEN = ("/data", "/dev", "/proc", "/run", "/sys")
# What the units' sandboxes hide (ProtectHome, PrivateTmp).
_HIDDEN_FROM_UNITS = ("/home", "/root", "/tmp")  # noqa: S108  (names, not files)


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """Both halves, ready to be encoded."""

    settings: Mapping[str, str]
    details: Mapping[str, object]


def create_plan(arguments: Arguments) -> Plan:
    """Raises: LabError where the guest couldn't see what it has to run."""
    folder = Path.cwd()
    for path in (PROJECT, folder, Path(sys.prefix), Path(sys.base_prefix)):
        if any(path.resolve().is_relative_to(hidden) for hidden in _HIDDEN):
            raise LabError(
                f"{path} can't be seen in the guest, which has its own {', '.join(_HIDDEN)}"
            )
    python = Path(sys.base_prefix)
    if arguments.systemd and any(python.is_relative_to(hidden) for hidden in _HIDDEN_FROM_UNITS):
        raise LabError(f"the units can't see {python}; make .venv with the system's own Python")
    return Plan(
        settings={
            "PYTHON": sys.executable,
            "PROJECT": str(PROJECT),
            "SKIP": " ".join(_choose_skipped(arguments)),
            "OUT": str(arguments.out or ""),
            "TMP": str(Path("/tmp").resolve()),  # noqa: S108  (the guest gets one like it)
            "SYSTEMD": "yes" if arguments.systemd else "",
        },
        details={
            "command": arguments.command,
            "folder": str(folder),
            "environment": _choose_environment(os.environ),
            "out": str(arguments.out or ""),
            "assets": str(PROJECT / "builder" / "assets"),
            "gadget": arguments.gadget,
            "systemd": arguments.systemd,
            "project": str(PROJECT),
            "python": sys.executable,
            "python_prefix": sys.prefix,
        },
    )


def _choose_environment(host: Mapping[str, str]) -> dict[str, str]:
    passed = {
        name: value
        for name, value in host.items()
        if name in _PASSED or name.startswith(_PASSED_PREFIXES)
    }
    scripts = sysconfig.get_path("scripts")
    host_path = host.get("PATH", "")
    return {"LANG": "C.UTF-8", "HOME": "/root", **passed} | {
        "PATH": ":".join(part for part in (scripts, host_path, _SYSTEM_PATH) if part),
        "PYTHONUNBUFFERED": "1",  # what a killed guest has not written would be lost
        "TEZSIGN_IN_LAB": "1",
    }


def _choose_skipped(arguments: Arguments) -> tuple[str, ...]:
    skipped: list[str] = []
    if not arguments.forwards:
        skipped += ("failover", "net_failover", "virtio_net")
    if arguments.disk is None:
        skipped += ("virtio_blk", "jbd2", "mbcache", "crc16", "ext4")
    if not arguments.systemd:
        skipped += ("u_ether", "usb_f_ecm")
    return tuple(f"{name}.ko" for name in skipped)
