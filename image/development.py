"""What a development image has beside a production image: a shell, ssh over USB, a clock, and
marks that nobody can miss.

`image.build` adds it to a finished root folder, so that a production image is made without a look
at this file; `image.verify_root` finds each of these things where they must not be.
"""

import re
import shutil
from pathlib import Path
from typing import Final

from image import root_files
from image.errors import BuildFailed
from image.rootfs import copy_file, copy_libraries

__all__ = [
    "APP_PROGRAMS",
    "KNOWN_KEYS",
    "MARK",
    "MODULES",
    "PROGRAMS",
    "SHELL_LINK",
    "WANTED_UNITS",
    "add_development",
    "check_key",
]

# Beside the signer's function: the network card.
MODULES: Final = ("usb_f_ecm",)
APP_PROGRAMS: Final = ("add-network-card",)
_SHELL: Final = "usr/bin/busybox"
SHELL_LINK: Final = "usr/bin/sh"
# GnuTLS has keys for its self-tests in it, which everybody knows and nothing here uses.
KNOWN_KEYS: Final = "usr/lib/aarch64-linux-gnu/libgnutls.so.30"
_WAIT: Final = "opt/tezsign/bin/wait-for-chrony"
_PACKAGED: Final = (
    *("usr/bin/chronyc", "usr/bin/dropbearkey", "usr/bin/journalctl", "usr/bin/systemctl"),
    *("usr/bin/systemd-analyze", "usr/sbin/chronyd", "usr/sbin/dropbear"),
)
PROGRAMS: Final = (*_PACKAGED, _SHELL, _WAIT)
# The first program says it at each start where this file is; ssh shows it before the login.
MARK: Final = "etc/development"
_TEXTS: Final = Path(__file__).with_name("guest") / "development"
_UNITS: Final = "usr/lib/systemd/system"
_OURS: Final = ("chrony.service", "dev-network.service", "dev-ssh.service")
_ASSETS: Final = ("attach-gadget-dev.service", "wait-for-chrony.service")
_REPLACED: Final = "attach-gadget.service"
WANTED_UNITS: Final = {
    **root_files.WANTED_UNITS,
    "multi-user.target": (
        *(name for name in root_files.WANTED_UNITS["multi-user.target"] if name != _REPLACED),
        *_OURS,
        *_ASSETS,
    ),
}
_OS_RELEASE: Final = 'VARIANT="DEVELOPMENT IMAGE, not for production"\nVARIANT_ID=development\n'
_KEY: Final = re.compile(
    r"(ssh-ed25519|ecdsa-sha2-nistp\d+|ssh-rsa) [A-Za-z0-9+/]+={0,2}( [^\n]*)?"
)


def check_key(text: str) -> str:
    """Returns the line for authorized_keys.

    Args: text: the content of a file like id_ed25519.pub.
    Raises: BuildFailed for anything else, a private key above all.
    """
    line = text.strip()
    if not _KEY.fullmatch(line):
        raise BuildFailed(
            "--dev-key wants a public key for ssh, one line: id_ed25519.pub or the like"
        )
    return line


def add_development(root: Path, *, stage: Path, busybox: Path, assets: Path, key: str) -> None:
    """Args: root: as `fill_root` leaves it; stage: the unpacked packages of both sets."""
    for name in _PACKAGED:
        copy_file(stage, root, name)
    _copy_program(busybox, root / _SHELL)
    (root / SHELL_LINK).symlink_to("busybox")
    _copy_program(assets / "wait-for-chrony", root / _WAIT)
    _add_account(root, key)
    _add_units(root, assets)
    _add_marks(root / "etc")
    for name in ("chrony.conf", "udhcpd.conf"):
        shutil.copyfile(_TEXTS / name, root / "etc" / name)
    copy_libraries(stage, root, root)


def _copy_program(source: Path, place: Path) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, place)
    place.chmod(0o755)


def _add_account(root: Path, key: str) -> None:
    """A second name of root, who stays locked: what a developer looks at belongs to root."""
    _append(root / "etc/passwd", "dev:x:0:0:developer:/root:/bin/sh\n")
    _append(root / "etc/shadow", "dev:*:1::::::\n")
    (root / "root/.ssh").mkdir()
    (root / "root/.ssh/authorized_keys").write_text(f"{key}\n")


def _add_units(root: Path, assets: Path) -> None:
    units = root / _UNITS
    wanted = units / "multi-user.target.wants"
    (wanted / _REPLACED).unlink()
    (units / _REPLACED).unlink()
    for folder, names in ((_TEXTS, _OURS), (assets, _ASSETS)):
        for name in names:
            shutil.copyfile(folder / name, units / name)
            (wanted / name).symlink_to(f"../{name}")


def _add_marks(etc: Path) -> None:
    shutil.copyfile(_TEXTS / "banner", etc.parent / MARK)
    (etc / "hostname").write_text("tezsign-development\n")
    _append(etc / "os-release", _OS_RELEASE)


def _append(place: Path, text: str) -> None:
    with place.open("a") as file:
        file.write(text)
