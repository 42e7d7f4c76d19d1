"""A board that does nothing but echo: a FunctionFS gadget in its own process, on blocking files.

Runs in the lab only, as `python -m tests.kernel.echo_board`. Standard library, no code of ours: the
host's USB code is tested against the kernel, not against our own reading of it. `EchoProcess` is
what a test holds of it.

Commands on stdin, one a line; the answer is "ok", or what went wrong:

    ready N VERSION     what the ready reply says from now on (N = -1: stalled, -2: no answer);
                        the count of announced sessions starts again
    unbind | bind       off the bus, on the bus
    pause I | resume I  stop reading interface I after the packet that comes next, go on
    say I N             send N bytes on interface I, not asked for (byte k is k % 251)
    stall I             halt the in endpoint of interface I
    announced N         ok if N sessions were announced since the last time
"""

import os
import struct
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Final

CONFIGFS: Final = Path("/sys/kernel/config")
GADGET: Final = CONFIGFS / "usb_gadget/echo"
DEVICES: Final = Path("/sys/bus/usb/devices")
MOUNT: Final = Path("/run/echo-ffs")
SERIAL: Final = "echo-board-1"
READ_BYTES: Final = 16 * 1024
PACKET_BYTES: Final = 512
CONTROL_TIMEOUT_S: Final = 1.0

_SETUP, _ENABLE = 4, 2
_DESCRIPTORS_MAGIC_V2, _STRINGS_MAGIC = 3, 2
_HAS_FULL_SPEED, _HAS_HIGH_SPEED = 1, 2


def descriptors() -> bytes:
    def interfaces(packet: int) -> bytes:
        described = b""
        for number in (0, 1):
            described += struct.pack("<BBBBBBBBB", 9, 4, number, 0, 2, 0xFF, 0, 0, number + 1)
            for address in (0x81 + 2 * number, 0x02 + 2 * number):
                described += struct.pack("<BBBBHB", 7, 5, address, 2, packet, 0)
        return described

    body = struct.pack("<II", 6, 6) + interfaces(64) + interfaces(512)
    flags = _HAS_FULL_SPEED | _HAS_HIGH_SPEED
    return struct.pack("<III", _DESCRIPTORS_MAGIC_V2, 12 + len(body), flags) + body


def strings() -> bytes:
    body = struct.pack("<H", 0x0409) + b"tezsign-0\0tezsign-1\0"
    return struct.pack("<IIII", _STRINGS_MAGIC, 16 + len(body), 2, 1) + body


class EchoBoard:
    def __init__(self) -> None:
        self.ready = 1
        self.version = 1
        self.announced = 0
        self.running = [threading.Event(), threading.Event()]
        self.controller = next(iter(os.listdir("/sys/class/udc")))  # noqa: PTH208

    def start(self) -> None:
        self._make_gadget()
        self.ep0 = os.open(MOUNT / "ep0", os.O_RDWR)
        os.write(self.ep0, descriptors())
        os.write(self.ep0, strings())
        self.files = [
            (
                os.open(MOUNT / f"ep{1 + 2 * n}", os.O_RDWR),
                os.open(MOUNT / f"ep{2 + 2 * n}", os.O_RDWR),
            )
            for n in (0, 1)
        ]
        threading.Thread(target=self._serve_ep0, daemon=True).start()
        for number in (0, 1):
            self.running[number].set()
            threading.Thread(target=self._echo, args=[number], daemon=True).start()
        self.bind()

    def bind(self) -> None:
        (GADGET / "UDC").write_text(self.controller)

    def unbind(self) -> None:
        (GADGET / "UDC").write_text("\n")

    def send(self, number: int, data: bytes) -> None:
        in_file = self.files[number][0]
        os.write(in_file, data)
        if len(data) % PACKET_BYTES == 0:
            os.write(in_file, b"")

    def stall(self, number: int) -> None:
        """I/O in the wrong direction halts a FunctionFS endpoint."""
        try:
            os.read(self.files[number][0], 1)
        except OSError as error:
            print("halt:", error, file=sys.stderr)

    def _echo(self, number: int) -> None:
        while True:
            self.running[number].wait()
            try:
                data = os.read(self.files[number][1], READ_BYTES)
                if data:
                    self.running[number].wait()
                    self.send(number, data)
            except OSError:
                continue  # unbound: opening for I/O waits until it is enabled again

    def _serve_ep0(self) -> None:
        while True:
            try:
                event = os.read(self.ep0, 12)
            except OSError:
                continue  # EL2HLT, EIDRM: the request before was not answered
            kind, request, value, _, length, event_type = struct.unpack("<BBHHHB", event[:9])
            if event_type != _SETUP:
                continue
            self.announced += (kind, request, value) == (0xC1, 0x5A, 1)
            try:
                if (kind, request) == (0xC1, 0x5A) and self.ready >= 0:
                    reply = struct.pack("<4sHBB", b"TZSG", self.version, self.ready, 0)
                    os.write(self.ep0, reply[:length])
                elif (kind, request) == (0xC1, 0x5A) and self.ready == -2:
                    time.sleep(2 * CONTROL_TIMEOUT_S)
                elif kind & 0x80:
                    os.read(self.ep0, 0)
                else:
                    os.write(self.ep0, b"")
            except OSError:
                continue  # EL2HLT: stalled, as intended

    def _make_gadget(self) -> None:
        if not (CONFIGFS / "usb_gadget").exists():
            subprocess.run(["mount", "-t", "configfs", "none", str(CONFIGFS)], check=True)
        (GADGET / "strings/0x409").mkdir(parents=True)
        (GADGET / "idVendor").write_text("0x9997")
        (GADGET / "idProduct").write_text("0x0001")
        (GADGET / "strings/0x409/manufacturer").write_text("TzC")
        (GADGET / "strings/0x409/product").write_text("tezsign-gadget")
        (GADGET / "strings/0x409/serialnumber").write_text(SERIAL)
        (GADGET / "configs/c.1").mkdir()
        (GADGET / "functions/ffs.echo").mkdir()
        (GADGET / "configs/c.1/ffs.echo").symlink_to(GADGET / "functions/ffs.echo")
        MOUNT.mkdir()
        subprocess.run(["mount", "-t", "functionfs", "echo", str(MOUNT)], check=True)


class EchoProcess:
    """The board from the outside. Making it returns when the host can find the board."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", __name__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._expect_ok()
        wait_for_device(present=True)

    def tell(self, command: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{command}\n")
        self._process.stdin.flush()
        self._expect_ok()

    def unbind(self) -> None:
        self.tell("unbind")
        wait_for_device(present=False)

    def bind(self) -> None:
        self.tell("bind")
        wait_for_device(present=True)

    def close(self) -> None:
        """Ends the process, and takes the gadget apart: another test module may want the bus."""
        self._process.kill()
        self._process.communicate()
        subprocess.run(["umount", str(MOUNT)], check=True)
        MOUNT.rmdir()
        (GADGET / "configs/c.1/ffs.echo").unlink()
        for name in ("configs/c.1", "functions/ffs.echo", "strings/0x409", "."):
            (GADGET / name).rmdir()

    def _expect_ok(self) -> None:
        assert self._process.stdout is not None
        answer = self._process.stdout.readline().strip()
        assert answer == "ok", answer


def wait_for_device(*, present: bool) -> None:
    """Returns once the kernel has (no) device of ours whose interfaces are there."""
    give_up_s = time.monotonic() + 20
    while any(DEVICES.glob("*:1.1")) != present:
        assert time.monotonic() < give_up_s, "the device did not come, or go"
        time.sleep(0.01)


def run_command(board: EchoBoard, words: list[str]) -> None:
    match words:
        case ["ready", ready, version]:
            board.ready, board.version = int(ready), int(version)
            board.announced = 0
        case ["bind"]:
            board.bind()
        case ["unbind"]:
            board.unbind()
        case ["pause", number]:
            board.running[int(number)].clear()
        case ["resume", number]:
            board.running[int(number)].set()
        case ["say", number, size]:
            data = bytes(k % 251 for k in range(int(size)))
            threading.Thread(target=board.send, args=[int(number), data], daemon=True).start()
        case ["stall", number]:
            board.stall(int(number))
        case ["announced", count]:
            found, board.announced = board.announced, 0
            if found != int(count):
                raise ValueError(f"{found} sessions were announced")
        case _:
            raise ValueError(words)


def main() -> None:
    board = EchoBoard()
    board.start()
    print("ok", flush=True)
    for line in sys.stdin:
        try:
            run_command(board, line.split())
        except (OSError, ValueError) as error:
            print(repr(error), flush=True)
        else:
            print("ok", flush=True)


if __name__ == "__main__":
    main()
