"""Control requests from the host, by usbfs ioctls: no library interprets or repairs anything.

Source: include/uapi/linux/usbdevice_fs.h. struct usbdevfs_ctrltransfer:
    offset  size  type  meaning
    0       8           the SETUP packet, in the byte order of the machine
    8       4     u32   timeout in ms
    16      8     ptr   data
    24            total
"""

import ctypes
import errno
import os
import struct
from fcntl import ioctl
from pathlib import Path
from typing import Final

from registrar.events import Setup
from tests.registrar.ep0_contract import HostGaveUp, Stalled

__all__ = ["ControlHost", "HostGaveUp", "Stalled"]

_CONTROL: Final = 0xC0185500
_SET_CONFIGURATION: Final = 0x80045505
_TRANSFER: Final = struct.Struct("@BBHHHIP")


class ControlHost:
    """A device in sysfs, opened."""

    def __init__(self, device: Path) -> None:
        bus, address = ((device / name).read_text() for name in ("busnum", "devnum"))
        self.fd = os.open(f"/dev/bus/usb/{int(bus):03}/{int(address):03}", os.O_RDWR)

    def close(self) -> None:
        os.close(self.fd)

    def request(self, setup: Setup, *, timeout_s: float = 10.0) -> bytes:
        """Returns what the device sent; sends zeros. Raises Stalled or HostGaveUp."""
        memory = (ctypes.c_char * max(1, setup.wLength))()
        transfer = bytearray(
            _TRANSFER.pack(
                setup.bmRequestType,
                setup.bRequest,
                setup.wValue,
                setup.wIndex,
                setup.wLength,
                int(timeout_s * 1000),
                ctypes.addressof(memory),
            )
        )
        try:
            size = ioctl(self.fd, _CONTROL, transfer)
        except BrokenPipeError as error:
            raise Stalled from error
        except OSError as error:
            if error.errno == errno.ETIMEDOUT:
                raise HostGaveUp from error
            raise
        return memory.raw[:size] if setup.is_in else b""

    def set_configuration(self, value: int) -> None:
        """Selects a configuration; the one that is active, too."""
        ioctl(self.fd, _SET_CONFIGURATION, struct.pack("I", value))
