"""Turns the guest's root into a board's, as the image has it, and becomes its systemd.

What is real: systemd, journald, sysusers and tmpfiles, our units and their enabling, separate /app
(read-only) and /data. What the machine's own files would bring in is taken away: its units,
generators, accounts. No udev, no D-Bus: the board has neither.
"""

import os
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final, NoReturn

from tests.lab.guest.programs import Programs

__all__ = ["become_systemd"]

_SYSTEMD: Final = "/usr/lib/systemd/systemd"
_UNITS: Final = Path("/usr/lib/systemd/system")
_SHADOWS: Final = Path("/run/tezsign-lab/shadows")
_STOCK_UNITS: Final = (
    *("basic.target", "local-fs.target", "local-fs-pre.target", "multi-user.target"),
    *("network.target", "paths.target", "poweroff.target", "reboot.target", "shutdown.target"),
    *("slices.target", "sockets.target", "swap.target", "sysinit.target", "time-set.target"),
    *("time-sync.target", "timers.target", "umount.target", "final.target"),
    *("systemd-journald.service", "systemd-journald.socket", "systemd-journald-dev-log.socket"),
    *("systemd-tmpfiles-setup.service", "systemd-poweroff.service", "systemd-reboot.service"),
)
_WANTED: Final = {
    "sysinit.target": ("systemd-journald.service", "systemd-tmpfiles-setup.service"),
    "sockets.target": ("systemd-journald.socket", "systemd-journald-dev-log.socket"),
}
_ENABLED: Final = (
    *("generate-serial", "setup-gadget", "ffs_registrar", "attach-gadget", "tezsign"),
    "tezsign-lab",
)
_HIDDEN: Final = (
    *("system-generators", "system-environment-generators", "system-preset"),
    *("journald.conf.d", "system.conf.d"),
)
_ETC: Final = {
    "fstab": "",
    "hostname": "tezsign-lab\n",
    "machine-id": "7e250000000000000000000000000001\n",
    "nsswitch.conf": "passwd: files\ngroup: files\nshadow: files\nhosts: files\n",
    "passwd": "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/usr/sbin/nologin\n",
    "group": "root:x:0:\nplugdev:x:46:\nnogroup:x:65534:\n",
    "shadow": "root:*:1::::::\n",
    "gshadow": "root:*::\n",
    "systemd/journald.conf": "[Journal]\nStorage=volatile\n",
}
_APP: Final = Path("/app")
_HOST: Final = Path("/opt/tezsign")
_ASSETS: Final = {
    _APP: ("add-network-card", "attach-gadget", "generate-serial", "setup-gadget"),
    _HOST: ("wait-for-chrony",),
}
_LAUNCHERS: Final = {
    _APP: {"ffs-registrar": "registrar", "tezsign-gadget": "gadget"},
    _HOST: {"tezsign": "host"},
}
_LAUNCHER: Final = """\
#!/app/python/bin/python
import sys
sys.path.insert(0, "/app/project")
from {package}.__main__ import main
sys.exit(main())
"""
# The command's own service: not sandboxed, in the way of nobody.
# An emulated processor on a busy machine needs more than the 30 s of the units.
_PATIENT: Final = "[Service]\nTimeoutStartSec=240\n"
_EMULATED: Final = ("tezsign", "ffs_registrar", "attach-gadget", "tezsign-host")
_SERVICE: Final = """\
[Unit]
Description=The lab's command
After=tezsign.service ffs_registrar.service attach-gadget.service

[Service]
ExecStart={python} -s -S {project}/tests/lab/guest/__main__.py service
Environment=PYTHONPATH={project}
Delegate=yes
TasksMax=infinity
OOMPolicy=continue
StandardOutput=journal
StandardError=journal
FailureAction=poweroff-force

[Install]
WantedBy=multi-user.target
"""


def become_systemd(plan: Mapping[str, Any], programs: Programs) -> NoReturn:
    """Raises: RuntimeError where the root can't be made."""
    assets = Path(plan["assets"])
    _write_etc()
    _replace_units(programs, assets, plan)
    for kind in ("sysusers", "tmpfiles"):
        _replace(programs, Path(f"/usr/lib/{kind}.d"), [(assets / f"{kind}.conf", "tezsign.conf")])
    for name in _HIDDEN:
        _replace(programs, Path("/usr/lib/systemd", name), [])
    _run(programs, "systemd-sysusers")
    _make_app(programs, assets, plan)
    _run(programs, "systemctl", "--root=/", "enable", *(f"{name}.service" for name in _ENABLED))
    words = [_SYSTEMD, "--unit=multi-user.target", "--show-status=no"]
    os.execve(_SYSTEMD, words, {})  # noqa: S606  (no shell is the point)


def _write_etc() -> None:
    shutil.rmtree("/etc/systemd", ignore_errors=True)
    for folder in ("sysusers.d", "tmpfiles.d"):
        shutil.rmtree(Path("/etc", folder), ignore_errors=True)
    for name, content in _ETC.items():
        path = Path("/etc", name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)  # it may be a link
        path.write_text(content)


def _replace_units(programs: Programs, assets: Path, plan: Mapping[str, Any]) -> None:
    units = [(_UNITS / name, name) for name in _STOCK_UNITS]
    units += [(path, path.name) for path in assets.glob("*.service")]
    place = _make_shadow(_UNITS, units)
    for target, names in _WANTED.items():
        (place / f"{target}.wants").mkdir()
        for name in names:
            (place / f"{target}.wants" / name).symlink_to(f"../{name}")
    for name in _EMULATED:
        (place / f"{name}.service.d").mkdir()
        (place / f"{name}.service.d" / "lab.conf").write_text(_PATIENT)
    service = _SERVICE.format(python=plan["python"], project=plan["project"])
    (place / "tezsign-lab.service").write_text(service)
    _run(programs, "mount", "--bind", str(place), str(_UNITS))


def _replace(programs: Programs, folder: Path, files: Iterable[tuple[Path, str]]) -> None:
    if folder.is_dir():
        _run(programs, "mount", "--bind", str(_make_shadow(folder, files)), str(folder))


def _make_shadow(folder: Path, files: Iterable[tuple[Path, str]]) -> Path:
    """What is to be seen in the folder's place."""
    place = _SHADOWS / str(folder).strip("/").replace("/", "-")
    place.mkdir(parents=True)
    for source, name in files:
        shutil.copyfile(source, place / name)
    return place


def _make_app(programs: Programs, assets: Path, plan: Mapping[str, Any]) -> None:
    """The checkout and its Python at places that no unit hides, whatever lies under /home."""
    for folder in (_APP, _HOST):
        _run(programs, "mount", "-t", "tmpfs", "-o", "mode=755", "app", str(folder))
    for name, source in (("project", plan["project"]), ("python", plan["python_prefix"])):
        (_APP / name).mkdir()
        _run(programs, "mount", "--bind", source, str(_APP / name))
    for folder in (_APP, _HOST):
        _fill_bin(folder / "bin", assets, _ASSETS[folder], _LAUNCHERS[folder])
        _run(programs, "mount", "-o", "remount,ro", str(folder))


def _fill_bin(
    folder: Path, assets: Path, names: Iterable[str], launchers: Mapping[str, str]
) -> None:
    folder.mkdir()
    for name in names:
        shutil.copyfile(assets / name, folder / name)
    for name, package in launchers.items():
        (folder / name).write_text(_LAUNCHER.format(package=package))
    for path in folder.iterdir():
        path.chmod(0o755)


def _run(programs: Programs, *words: str) -> None:
    programs.start(words[0], list(words), os.environ)
    programs.wait(words[0])
