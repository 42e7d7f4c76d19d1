"""The units of the board as their tests see them: systemctl, the journal, and who is on the bus.

Only inside `python -m tests.lab --systemd`.
"""

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from broker.contract import VENDOR_ID
from tests.kernel.usbfs import find_device
from tests.lab.guest.gadget import is_ready_device_there
from tests.registrar.loop import wait_until

__all__ = [
    "DAEMONS",
    "PATIENCE_S",
    "device_number",
    "drop_in",
    "journal",
    "kill",
    "main_pid",
    "read_property",
    "run",
    "wait_ready",
    "wait_started_again",
]

DAEMONS: Final = ("tezsign", "ffs_registrar", "attach-gadget")
PATIENCE_S: Final = 90.0
_DROP_INS: Final = Path("/run/systemd/system")


def run(*words: str, expect: int = 0) -> str:
    """Returns what it printed."""
    done = subprocess.run(
        words,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=PATIENCE_S,
    )
    assert done.returncode == expect, (words, done.returncode, done.stdout)
    return done.stdout


def read_property(unit: str, name: str) -> str:
    return run("systemctl", "show", "--value", f"--property={name}", f"{unit}.service").strip()


def main_pid(unit: str) -> int:
    return int(read_property(unit, "MainPID"))


def kill(unit: str, number: signal.Signals = signal.SIGKILL) -> tuple[int, float]:
    """Returns the process and when it was. One that is being started again is waited for."""
    wait_until(lambda: main_pid(unit) != 0, PATIENCE_S)
    pid = main_pid(unit)
    now_s = time.monotonic()
    os.kill(pid, number)
    return pid, now_s


def wait_started_again(unit: str, before: int) -> float:
    """Until another process is up, in systemd's eyes. Returns when that one was started."""

    def is_up() -> bool:
        return main_pid(unit) not in (0, before) and read_property(unit, "ActiveState") == "active"

    wait_until(is_up, PATIENCE_S)
    return int(read_property(unit, "ExecMainStartTimestampMonotonic")) / 1e6


def wait_ready() -> None:
    wait_until(is_ready_device_there, PATIENCE_S)


def device_number() -> int:
    """Another one after each time that the board has left the bus."""
    return int((find_device(VENDOR_ID) / "devnum").read_text())


def journal(unit: str) -> list[Mapping[str, str]]:
    """The entries of a unit as `journalctl -u` has them."""
    lines = run("journalctl", "--unit", unit, "--output", "json", "--no-pager").splitlines()
    return [json.loads(line) for line in lines]


@contextmanager
def drop_in(unit: str, settings: str) -> Iterator[None]:
    """The unit runs with other settings for the time of the block; restarted by who needs that."""
    folder = _DROP_INS / f"{unit}.service.d"
    folder.mkdir(parents=True)
    (folder / "test.conf").write_text(f"[Service]\n{settings}\n")
    run("systemctl", "daemon-reload")
    try:
        yield
    finally:
        (folder / "test.conf").unlink()
        folder.rmdir()
        run("systemctl", "daemon-reload")
