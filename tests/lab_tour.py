"""Runs in the guest, for tests/test_lab.py: says on standard output what is not as it should be.

Arguments: a file of the host outside /tmp, one in /tmp, and the folder given as --out.
"""

import ctypes
import os
import shutil
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

__all__ = ["EXIT_STATUS", "LARGE_BYTES", "WRITTEN", "main"]

EXIT_STATUS = 42
LARGE_BYTES = 3_000_001
WRITTEN = "tezsign-lab-tour"
_CLOCK = Path("/sys/devices/system/clocksource/clocksource0/current_clocksource")


def main() -> int:
    outside, temporary, out = map(Path, sys.argv[1:])
    checks = (*_check_files(outside, temporary, out), *_check_process(), *_check_devices())
    failures = "".join(f"{name}\n" for name, holds in checks if not holds)
    sys.stderr.write("e" * LARGE_BYTES)
    sys.stdout.write("o" * LARGE_BYTES + failures)
    return EXIT_STATUS


def _check_files(outside: Path, temporary: Path, out: Path) -> Iterator[tuple[str, bool]]:
    yield "host files are seen", outside.read_text() == "outside"
    yield "files in /tmp are seen", temporary.read_text() == "temporary"
    for folder in (outside.parent, Path("/"), Path("/etc")):
        yield f"{folder} is read-only", not _is_writable(folder)
    memory = Path("/dev/shm")  # noqa: S108  (the guest's own)
    for folder in (temporary.parent, Path("/run"), Path("/data"), memory, out):
        yield f"{folder} is writable", _is_writable(folder)


def _check_process() -> Iterator[tuple[str, bool]]:
    yield "root", os.getuid() == 0
    yield "current folder", str(Path.cwd()) == os.environ["TEZSIGN_FOLDER"]
    yield "environment", os.environ["TEZSIGN_IN_LAB"] == "1"
    yield "nothing else of the environment", "OF_THE_HOST" not in os.environ
    yield "console scripts", shutil.which("tezsign") is not None
    yield "no input", not sys.stdin.read()
    yield "pseudo terminals", os.ttyname(os.openpty()[1]).startswith("/dev/pts/")


def _check_devices() -> Iterator[tuple[str, bool]]:
    yield "controller", _list("/sys/class/udc") == ["dummy_udc.0"]
    yield "usbfs", Path("/dev/bus/usb/001/001").exists()
    yield "usbmon", Path("/dev/usbmon1").exists()
    yield "debugfs", Path("/sys/kernel/debug/usb").exists()
    Path("/sys/kernel/config/usb_gadget/tour/functions/ffs.tour").mkdir(parents=True)
    Path("/run/ffs").mkdir()
    mount = ctypes.CDLL(None).mount
    yield "functionfs", mount(b"tour", b"/run/ffs", b"functionfs", 0, None) == 0
    yield "ep0", Path("/run/ffs/ep0").exists()
    # Jiffies count in steps of 4 ms: no measurement would be worth anything.
    yield "clock", _CLOCK.read_text().strip() in {"tsc", "hpet", "kvm-clock", "arch_sys_counter"}
    yield "no network", _list("/sys/class/net") == ["lo"]
    with socket.create_server(("127.0.0.1", 0)) as server:
        socket.create_connection(server.getsockname()).close()


def _list(folder: str) -> list[str]:
    return [entry.name for entry in Path(folder).iterdir()]


def _is_writable(folder: Path) -> bool:
    try:
        (folder / WRITTEN).write_text("by the guest")
    except OSError:
        return False
    return True


if __name__ == "__main__":
    sys.exit(main())
