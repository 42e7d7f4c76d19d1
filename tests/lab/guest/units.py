"""The board's units as the command's service sees them: up before it, stopped after it."""

import os
import time

from tests.lab.guest.data import DISK
from tests.lab.guest.gadget import is_ready_device_there
from tests.lab.guest.programs import Programs

__all__ = ["stop_units", "wait_units"]

_LIMIT_S = 240.0
_POLL_S = 0.05


def wait_units(programs: Programs) -> None:
    """Until a host may use the board. Raises: RuntimeError with the journal if that takes long."""
    deadline = time.monotonic() + _LIMIT_S
    while not is_ready_device_there():
        if time.monotonic() > deadline:
            run(programs, "journalctl", "--no-pager", "--output=short-monotonic", "--lines=200")
            raise RuntimeError(f"no device ready within {_LIMIT_S} s\n{programs.describe_logs()}")
        time.sleep(_POLL_S)


def stop_units(programs: Programs) -> None:
    """What has files open on the disk."""
    if DISK.exists():
        run(programs, "systemctl", "stop", "tezsign.service")


def run(programs: Programs, *words: str) -> None:
    """Raises: RuntimeError with its output, if it fails."""
    programs.start(words[0], list(words), os.environ)
    programs.wait(words[0])
