"""What `tezsign doctor` looks at on this machine: its clock, the udev rule, the speed of the port.

Reads files and one system call; Linux has all of them, another system is told so. No check fails
because it can't be made.
"""

import ctypes
import sys
import time
from pathlib import Path
from typing import Final

from host.finding import Finding

__all__ = ["check_clock", "check_speed", "check_udev_rule"]

_RULE: Final = "99-tezsign.rules"
_RULE_FOLDERS: Final = (
    Path("/etc/udev/rules.d"),
    Path("/usr/lib/udev/rules.d"),
    Path("/lib/udev/rules.d"),
    Path("/run/udev/rules.d"),
)
_USB: Final = Path("/sys/bus/usb/devices")
_FULL_SPEED_MBIT: Final = 12
_WRITTEN_UNIX_S: Final = 1_793_000_000  # when this was written: no clock may be before it
_TIME_ERROR: Final = 5  # adjtimex(2): the clock is not synchronised
_TIMEX_BYTES: Final = 256  # struct timex has 208 on 64-bit Linux


def check_clock() -> Finding:
    if time.time() < _WRITTEN_UNIX_S:
        return Finding.broken(
            "clock", "this machine's clock is years behind", "set it, and let chrony keep it"
        )
    if sys.platform == "linux" and not _is_synchronised():
        return Finding.doubtful(
            "clock", "this machine's clock is not synchronised", "install and start chrony"
        )
    return Finding.good("clock", "this machine's clock is set")


def _is_synchronised() -> bool:
    libc = ctypes.CDLL(None, use_errno=True)
    return int(libc.adjtimex(ctypes.create_string_buffer(_TIMEX_BYTES))) not in (_TIME_ERROR, -1)


def check_udev_rule(folders: tuple[Path, ...] = _RULE_FOLDERS) -> Finding:
    if sys.platform != "linux":
        return Finding.good("udev rule", "not needed on this system")
    for folder in folders:
        if (folder / _RULE).is_file():
            return Finding.good("udev rule", str(folder / _RULE))
    return Finding.doubtful(
        "udev rule",
        f"{_RULE} is not installed: only root may use the board",
        f"sudo cp builder/assets/{_RULE} /etc/udev/rules.d/ && sudo udevadm control --reload",
    )


def check_speed(port_path: str, devices: Path = _USB) -> Finding:
    """Args: port_path: the kernel's name of the place, like 1-1.4."""
    try:
        speed_mbit = float((devices / port_path / "speed").read_text())
    except (OSError, ValueError):
        return Finding.good("usb speed", "not told on this system")
    words = f"{speed_mbit:g} Mbit/s"
    if speed_mbit <= _FULL_SPEED_MBIT:
        return Finding.doubtful("usb speed", words, "use another cable or port: 480 is usual")
    return Finding.good("usb speed", words)
