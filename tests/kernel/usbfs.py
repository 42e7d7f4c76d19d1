"""A USB host in two ioctls: opens a device in /dev/bus/usb and moves bulk data, blocking.

Independent of libusb and of `host`, so that a test of the board's side tests nothing else.
Source: include/uapi/linux/usbdevice_fs.h.

struct usbdevfs_bulktransfer:
    offset  size  type  meaning
    0       4     u32   endpoint address
    4       4     u32   size
    8       4     u32   timeout in ms
    16      8     ptr   data
    24            total
"""

import ctypes
import os
import struct
import time
from fcntl import ioctl
from pathlib import Path
from typing import Final

__all__ = ["UsbHost", "find_device"]

_BULK: Final = 0xC0185502
_CLAIM_INTERFACE: Final = 0x8004550F
_TRANSFER: Final = struct.Struct("@IIIP")
_DEVICES: Final = Path("/sys/bus/usb/devices")
_TRANSFER_BYTES: Final = 16 * 1024
_LIMIT_S: Final = 10.0


def find_device(vendor_id: int) -> Path:
    """Waits for a device of this vendor and returns its place in sysfs."""
    give_up_s = time.monotonic() + _LIMIT_S
    while time.monotonic() < give_up_s:
        for path in _DEVICES.glob("*/idVendor"):
            if int(path.read_text(), 16) == vendor_id and any(path.parent.glob("*:1.0")):
                return path.parent
        time.sleep(0.01)
    raise TimeoutError(f"no device of vendor {vendor_id:04x}")


class UsbHost:
    """One claimed interface with one bulk pair."""

    def __init__(self, device: Path, *, interface: int, timeout_s: float = 20.0) -> None:
        bus, address = ((device / name).read_text() for name in ("busnum", "devnum"))
        self._fd = os.open(f"/dev/bus/usb/{int(bus):03}/{int(address):03}", os.O_RDWR)
        # Not those of the descriptors: the kernel gives out what the controller has.
        self._out_address, self._in_address = sorted(
            int(path.name.removeprefix("ep_"), 16) for path in device.glob(f"*:1.{interface}/ep_*")
        )
        self._timeout_ms = int(timeout_s * 1000)
        self.packet_bytes = 64 if (device / "speed").read_text().strip() == "12" else 512
        ioctl(self._fd, _CLAIM_INTERFACE, struct.pack("I", interface))

    def close(self) -> None:
        os.close(self._fd)

    def write(self, data: bytes) -> None:
        """Sends a frame as a host must: a zero-length packet follows where a packet is full."""
        for start in range(0, len(data), _TRANSFER_BYTES):
            self._bulk(self._out_address, bytearray(data[start : start + _TRANSFER_BYTES]))
        if len(data) % self.packet_bytes == 0:
            self._bulk(self._out_address, bytearray())

    def read(self, timeout_s: float | None = None) -> bytes:
        """Returns one transfer: it ends with a short packet, or with 16 KiB."""
        data = bytearray(_TRANSFER_BYTES)
        return bytes(data[: self._bulk(self._in_address, data, timeout_s)])

    def drain(self) -> None:
        """Takes what an earlier test has left, until nothing comes for 50 ms."""
        try:
            while True:
                self.read(0.05)
        except TimeoutError:
            return

    def _bulk(self, endpoint: int, data: bytearray, timeout_s: float | None = None) -> int:
        memory = (ctypes.c_char * len(data)).from_buffer(data) if data else None
        address = ctypes.addressof(memory) if memory is not None else 0
        timeout_ms = self._timeout_ms if timeout_s is None else int(timeout_s * 1000)
        # Of a bytearray ioctl returns what the call does: the number of bytes moved.
        request = bytearray(_TRANSFER.pack(endpoint, len(data), timeout_ms, address))
        moved: int = ioctl(self._fd, _BULK, request)
        return moved
