"""The test's hand inside a booted image: does what it is told over a serial port, as root.

Not in any image: it comes behind the initramfs, and a unit in /run starts it. It is the USB host
too, with `host` of this checkout: the virtual controller is connected to its own machine. One
request and one answer is a line of JSON each; an operation may send lines ("said") before its
answer.
"""

import ctypes
import hashlib
import json
import os
import shutil
import signal
import stat
import subprocess
import sys
import termios
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

PLACE = Path("/run/test")
sys.path[:0] = ["/app/lib", str(PLACE / "project"), str(PLACE / "site")]
# Loaded by path, they are found by name: the image has no folder for them.
for library in ("libudev.so.1", "libusb-1.0.so.0"):
    ctypes.CDLL(str(PLACE / "lib" / library), mode=ctypes.RTLD_GLOBAL)

import trio  # noqa: E402

from broker.contract import INTERFACE_MANAGE, INTERFACE_SIGN  # noqa: E402
from host.discover import choose, find_devices  # noqa: E402
from host.errors import HostError, Refused  # noqa: E402
from host.session import open_client  # noqa: E402
from tests.payloads import attestation  # noqa: E402

Answer = Any
PASSPHRASE = b"correct horse battery"


def wait_ready(limit_s: float) -> Answer:
    """Until the one board on the bus says it is ready; returns its serial number."""
    give_up = time.monotonic() + limit_s
    seen = "nothing"
    while time.monotonic() < give_up:
        try:
            devices = find_devices()
            if ready := [device for device in devices if device.ready]:
                return ready[0].serial
            seen = repr(devices)
        except HostError:
            seen = traceback.format_exc()
        time.sleep(0.2)
    bus = sorted(str(path) for path in Path("/dev/bus/usb").rglob("*"))
    raise TimeoutError(f"no board is ready; seen: {seen}; on the bus: {bus}")


async def _manage(use: Callable[[Any], Any]) -> Answer:
    async with open_client(choose(None), INTERFACE_MANAGE) as client:
        return await use(client)


def init() -> Answer:
    trio.run(_manage, lambda client: client.init(PASSPHRASE, deterministic=False))


def new(name: str) -> Answer:
    async def make(client: Any) -> None:
        await client.new(PASSPHRASE, name, "tz4", None)

    trio.run(_manage, make)


def unlock() -> Answer:
    return str(trio.run(_manage, lambda client: client.unlock(PASSPHRASE)))


def status() -> Answer:
    keys = trio.run(_manage, lambda client: client.status())
    return [
        {"id": key.id, "pkh": key.pkh, "lock_state": str(key.lock_state), "text": repr(key)}
        for key in keys
    ]


def version() -> Answer:
    answer = trio.run(_manage, lambda client: client.version())
    return {"version": answer.image_version, "date": answer.image_date}


def sign(pkh: str, level: int, count: int, payload_hash: str) -> Iterator[Answer]:
    """Says each level that was signed, with the signature; ends at the first refusal."""

    async def run(send: Callable[[Answer], None]) -> Answer:
        async with open_client(choose(None), INTERFACE_SIGN) as client:
            for number in range(level, level + count):
                payload = attestation("tz4", number, 0, payload_hash=bytes.fromhex(payload_hash))
                try:
                    signature = await client.sign(pkh, payload)
                except Refused as refusal:
                    return {"refused": int(refusal.code)}
                send({"level": number, "signature": signature.hex()})
        return {"refused": None}

    return trio.run(run, _say)


def kill(unit: str, number: int = signal.SIGKILL) -> Answer:
    """Returns the main process that was sent the signal."""
    (process,) = _processes(unit)
    os.kill(process, number)
    return process


def wait_restarted(unit: str, before: int, limit_s: float) -> Answer:
    give_up = time.monotonic() + limit_s
    while time.monotonic() < give_up:
        if (found := _processes(unit)) and found != [before]:
            return found[0]
        time.sleep(0.1)
    raise TimeoutError(f"{unit} was not started again")


def _processes(unit: str) -> list[int]:
    place = Path("/sys/fs/cgroup/system.slice", unit, "cgroup.procs")
    return [int(line) for line in place.read_text().split()] if place.exists() else []


def run(command: list[str], limit_s: float = 120.0) -> Answer:
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=limit_s)
    return {"status": done.returncode, "output": done.stdout + done.stderr}


def run_until_good(command: list[str], limit_s: float) -> Answer:
    """Until it gives status 0; returns what it wrote then."""
    give_up = time.monotonic() + limit_s
    while (told := run(command))["status"] != 0:
        if time.monotonic() > give_up:
            raise TimeoutError(f"{command}: {told}")
        time.sleep(0.5)
    return told["output"]


def read(path: str) -> Answer:
    return Path(path).read_text(errors="replace")


def write(path: str, text: str) -> Answer:
    """The text of the error, or nothing where it could be written."""
    try:
        Path(path).write_text(text)
    except OSError as error:
        return error.strerror
    return None


def fill(path: str) -> Answer:
    """Writes until the file system is full; returns how much was free."""
    free = shutil.disk_usage(Path(path).parent).free
    with Path(path).open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(65536))
        except OSError:
            pass
    return free


def remove(path: str) -> Answer:
    Path(path).unlink()


def list_files(path: str) -> Answer:
    """Mode and owner of each, by path."""
    return {
        str(found): [stat.filemode(found.lstat().st_mode), found.lstat().st_uid]
        for found in Path(path).rglob("*")
    }


def hash_files(device: str, kind: str) -> Answer:
    """Mounts a file system and hashes its files: the kernel's own reading of it."""
    place = Path("/run/mounted")
    place.mkdir(exist_ok=True)
    subprocess.run(["/usr/bin/mount", "-t", kind, "-o", "ro", device, place], check=True)
    try:
        return {
            str(path.relative_to(place)): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in sorted(place.rglob("*"))
            if path.is_file()
        }
    finally:
        subprocess.run(["/usr/bin/umount", place], check=True)


def sync() -> Answer:
    os.sync()


_OPERATIONS: dict[str, Callable[..., Answer]] = {
    function.__name__: function
    for function in (
        *(
            wait_ready,
            init,
            new,
            unlock,
            status,
            version,
            sign,
            kill,
            wait_restarted,
            run,
            run_until_good,
        ),
        *(read, write, fill, list_files, hash_files, remove, sync),
    )
}


def _say(content: Answer) -> None:
    _write({"said": content})


def _write(content: Answer) -> None:
    data = json.dumps(content).encode() + b"\n"
    while data:  # a virtual port takes 32 KiB at once
        data = data[PORT.write(data) :]


def _make_raw(port: int) -> None:
    """Where it is a serial line: nobody edits, echoes or translates what goes over it."""
    if os.isatty(port):
        *_, speed_in, speed_out, controls = termios.tcgetattr(port)
        flags = termios.CS8 | termios.CREAD | termios.CLOCAL
        raw = [0, 0, flags, 0, speed_in, speed_out, controls]
        termios.tcsetattr(port, termios.TCSANOW, raw)


def main() -> None:
    _say("here")
    for line in PORT:
        request = json.loads(line)
        try:
            _write({"answer": _OPERATIONS[request.pop("operation")](**request)})
        except Exception:  # noqa: BLE001 - the test is told, and goes on asking
            _write({"failed": traceback.format_exc()})


if __name__ == "__main__":
    (port,) = Path("/dev").glob((PLACE / "port").read_text())
    PORT = port.open("r+b", buffering=0)
    _make_raw(PORT.fileno())
    main()
