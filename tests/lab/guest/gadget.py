"""Brings the gadget up with the programs that the board runs, and waits until a host may use it.

Ready is what a host sees: the device is on the bus and answers the ready request with its flag set.
(Connecting to the ready socket would not do: the gadget then hangs up on the registrar.)
"""

import array
import fcntl
import os
import struct
import time
from collections.abc import Iterator
from pathlib import Path

from broker.contract import (
    INTERFACE_SIGN,
    PRODUCT_ID,
    READY_MAGIC,
    READY_REPLY_BYTES,
    READY_REQUEST,
    READY_REQUEST_TYPES,
    VENDOR_ID,
)
from tests.lab.guest.programs import Programs

__all__ = ["is_ready_device_there", "start_gadget"]

_LIMIT_S = 120.0
_POLL_S = 0.05
_DEFAULTS = {"TEZSIGN_DATA": "/data/tezsign", "TEZSIGN_SERIAL": "tezsign-lab"}

# struct usbdevfs_ctrltransfer, 64 bit (linux/usbdevice_fs.h): 0 bRequestType u8 · 1 bRequest u8 ·
# 2 wValue u16 · 4 wIndex u16 · 6 wLength u16 · 8 timeout u32 (ms) · 16 data pointer; 24 in all.
_CONTROL = struct.Struct("@BBHHHIP")
_USBDEVFS_CONTROL = 0xC0185500  # _IOWR('U', 0, struct usbdevfs_ctrltransfer)
_CONTROL_TIMEOUT_MS = 500
_FLAG_OFFSET = 6


def start_gadget(programs: Programs, assets: Path) -> None:
    """Raises: RuntimeError with the logs where it doesn't come up."""
    environment = {**_DEFAULTS, **os.environ}
    Path("/run/tezsign").mkdir(mode=0o755)
    Path(environment["TEZSIGN_DATA"]).mkdir(mode=0o700, parents=True, exist_ok=True)
    # The gadget takes longest to start and waits for the others by itself.
    programs.start("gadget", ["tezsign-gadget"], environment)
    programs.start("setup", [str(assets / "setup-gadget")], environment)
    programs.wait("setup")
    programs.start("registrar", ["ffs-registrar"], environment)
    programs.start("attach", [str(assets / "attach-gadget")], environment)
    programs.wait("attach")
    deadline = time.monotonic() + _LIMIT_S
    while not is_ready_device_there():
        programs.check_running("registrar", "gadget")
        if time.monotonic() > deadline:
            raise RuntimeError(f"no device ready within {_LIMIT_S} s\n{programs.describe_logs()}")
        time.sleep(_POLL_S)


def is_ready_device_there() -> bool:
    """Asks each of our devices that is on the bus."""
    return any(_is_ready(device) for device in _find_devices())


def _find_devices() -> Iterator[Path]:
    """The usbfs files of our devices."""
    for device in Path("/sys/bus/usb/devices").glob("*-*"):
        identity = [device / "idVendor", device / "idProduct", device / "busnum", device / "devnum"]
        try:
            vendor, product, bus, number = (file.read_text().strip() for file in identity)
        except OSError:  # an interface, or a device on its way out
            continue
        if (int(vendor, 16), int(product, 16)) == (VENDOR_ID, PRODUCT_ID):
            yield Path(f"/dev/bus/usb/{int(bus):03}/{int(number):03}")


def _is_ready(device: Path) -> bool:
    reply = array.array("B", bytes(READY_REPLY_BYTES))
    request = _CONTROL.pack(
        READY_REQUEST_TYPES[0],
        READY_REQUEST,
        0,
        INTERFACE_SIGN,
        READY_REPLY_BYTES,
        _CONTROL_TIMEOUT_MS,
        reply.buffer_info()[0],
    )
    try:
        descriptor = os.open(device, os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.ioctl(descriptor, _USBDEVFS_CONTROL, request)
    except OSError:
        return False
    finally:
        os.close(descriptor)
    answer = reply.tobytes()
    return answer.startswith(READY_MAGIC) and answer[_FLAG_OFFSET] == 1
