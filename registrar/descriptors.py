"""Encodes what FunctionFS must know before a host may see us: descriptors and strings. Pure.

`registrar.ep0` writes the bytes. Device and configuration descriptors are not here: the kernel
makes them from configfs (builder/assets/setup-gadget).
Source: include/uapi/linux/usb/functionfs.h (formats), include/uapi/linux/usb/ch9.h and USB 2.0,
9.6.5 and 9.6.6 (interface, endpoint), Microsoft OS 1.0 descriptors (extended compat ID, extended
properties). All numbers are little-endian.

The descriptors block:

    offset  size  type  meaning
    0       4     u32   magic 3 (FUNCTIONFS_DESCRIPTORS_MAGIC_V2)
    4       4     u32   size of the whole block
    8       4     u32   flags: 1 full speed, 2 high speed, 8 MS OS descriptors
    12      4     u32   number of full speed descriptors
    16      4     u32   number of high speed descriptors
    20      4     u32   number of MS OS feature descriptors
    24                  total, before full speed, high speed and MS OS descriptors

The flag FUNCTIONFS_ALL_CTRL_RECIP is not set: requests to an interface reach us without it, and the
kernel stalls those to the device or to "other" without waking us.
"""

import struct
from dataclasses import dataclass
from typing import Final

from broker.contract import BULK_PACKET_FULL_SPEED, BULK_PACKET_HIGH_SPEED, INTERFACE_NAMES

__all__ = ["TEZSIGN_FUNCTION", "Function", "Interface", "encode_descriptors", "encode_strings"]

_DESCRIPTORS_HEAD: Final = struct.Struct("<6I")
_DESCRIPTORS_MAGIC_V2: Final = 3
_FLAGS: Final = 1 | 2 | 8

# Interface descriptor (USB 2.0, table 9-12), all u8:
#   offset  meaning
#   0       bLength, 9
#   1       bDescriptorType, 4
#   2       bInterfaceNumber
#   3       bAlternateSetting, 0
#   4       bNumEndpoints, 2
#   5       bInterfaceClass, 255: vendor
#   6       bInterfaceSubClass, 0
#   7       bInterfaceProtocol, 0
#   8       iInterface: our string, counted from 1
#   9       total
_INTERFACE: Final = struct.Struct("<9B")

# Endpoint descriptor (USB 2.0, table 9-13):
#   offset  size  type  meaning
#   0       1     u8    bLength, 7
#   1       1     u8    bDescriptorType, 5
#   2       1     u8    bEndpointAddress: the number, and bit 7 for IN
#   3       1     u8    bmAttributes, 2: bulk
#   4       2     u16   wMaxPacketSize
#   6       1     u8    bInterval, 0: a bulk endpoint has none
#   7                   total
_ENDPOINT: Final = struct.Struct("<4BHB")

# Head of an MS OS feature descriptor (struct usb_os_desc_header):
#   offset  size  type  meaning
#   0       1     u8    interface that the properties belong to
#   1       4     u32   dwLength, with this head
#   5       2     u16   bcdVersion, 1: Linux 6.1 takes no other; newer ones take 0x0100 too
#   7       2     u16   wIndex: 4 compat IDs, 5 properties
#   9       2     u16   number of entries that follow
#   11                  total
_OS_HEAD: Final = struct.Struct("<BIHHH")
_OS_VERSION: Final = 1
_OS_COMPAT_IDS: Final = 4
_OS_PROPERTIES: Final = 5

# Extended compat ID (struct usb_ext_compat_desc):
#   offset  size  type   meaning
#   0       1     u8     bFirstInterfaceNumber
#   1       1     u8     reserved, 1
#   2       8     bytes  CompatibleID
#   10      8     bytes  SubCompatibleID
#   18      6            reserved, 0
#   24                   total
_COMPAT_ID: Final = struct.Struct("<BB8s8s6x")
_WINUSB: Final = b"WINUSB"

# Extended property (struct usb_ext_prop_desc). The kernel turns name and data into UTF-16.
#   offset  size  type   meaning
#   0       4     u32    dwSize; under 256, since f_fs.c keeps it in one byte
#   4       4     u32    dwPropertyDataType, 1: one string
#   8       2     u16    wPropertyNameLength, NL
#   10                   total, before the name
#   10      NL    bytes  name, with a zero byte at its end
#   10+NL   4     u32    dwPropertyDataLength, DL
#   14+NL   DL    bytes  data, with a zero byte at its end
_PROPERTY_HEAD: Final = struct.Struct("<IIH")
_PROPERTY_STRING: Final = 1
_PROPERTY_NAME: Final = b"DeviceInterfaceGUID\0"
_PROPERTY_DATA: Final = b"{7d2f2a7e-6a53-4d0c-9d0e-3f5f0e1c7a41}\0"  # made up once for tezsign

# The strings block (struct usb_functionfs_strings_head, and the one language that we have):
#   offset  size  type   meaning
#   0       4     u32    magic, 2
#   4       4     u32    size of the whole block
#   8       4     u32    number of strings
#   12      4     u32    number of languages, 1
#   16      2     u16    language, 0x0409: English (US)
#   18                   total, before the strings: UTF-8, each with a zero byte at its end
_STRINGS_HEAD: Final = struct.Struct("<4IH")
_STRINGS_MAGIC: Final = 2
_ENGLISH_US: Final = 0x0409


@dataclass(frozen=True, slots=True, kw_only=True)
class Interface:
    """A vendor interface with one bulk pair; its files are ep1 (IN) and ep2 (OUT), then 3 and 4."""

    name: str
    in_address: int
    out_address: int

    def __post_init__(self) -> None:
        if not self.name or "\0" in self.name:
            raise ValueError("an interface has a name, without zero bytes")
        if not 0x81 <= self.in_address <= 0x8F:
            raise ValueError("an IN address is 0x81 to 0x8F")
        if not 0x01 <= self.out_address <= 0x0F:
            raise ValueError("an OUT address is 0x01 to 0x0F")


@dataclass(frozen=True, slots=True, kw_only=True)
class Function:
    """Interfaces are numbered by their place, from 0."""

    interfaces: tuple[Interface, ...]

    def __post_init__(self) -> None:
        addresses = [a for i in self.interfaces for a in (i.in_address, i.out_address)]
        if not addresses or len(set(addresses)) != len(addresses):
            raise ValueError("a function has interfaces, and each endpoint has its own address")


TEZSIGN_FUNCTION: Final = Function(
    interfaces=(
        Interface(name=INTERFACE_NAMES[0], in_address=0x81, out_address=0x02),
        Interface(name=INTERFACE_NAMES[1], in_address=0x83, out_address=0x04),
    )
)


def encode_descriptors(function: Function) -> bytes:
    """Returns the block that is written to ep0 first."""
    full_speed = _encode_speed(function, BULK_PACKET_FULL_SPEED)
    high_speed = _encode_speed(function, BULK_PACKET_HIGH_SPEED)
    os_features = [_encode_compat_ids(function)]
    os_features += [_encode_properties(number) for number in range(len(function.interfaces))]
    body = b"".join((*full_speed, *high_speed, *os_features))
    head = _DESCRIPTORS_HEAD.pack(
        _DESCRIPTORS_MAGIC_V2,
        _DESCRIPTORS_HEAD.size + len(body),
        _FLAGS,
        len(full_speed),
        len(high_speed),
        len(os_features),
    )
    return head + body


def encode_strings(function: Function) -> bytes:
    """Returns the block that is written to ep0 second: the names of the interfaces."""
    names = b"".join(interface.name.encode() + b"\0" for interface in function.interfaces)
    size = _STRINGS_HEAD.size + len(names)
    head = _STRINGS_HEAD.pack(_STRINGS_MAGIC, size, len(function.interfaces), 1, _ENGLISH_US)
    return head + names


def _encode_speed(function: Function, packet_bytes: int) -> list[bytes]:
    descriptors = []
    for number, interface in enumerate(function.interfaces):
        descriptors.append(_INTERFACE.pack(9, 4, number, 0, 2, 0xFF, 0, 0, number + 1))
        descriptors += [
            _ENDPOINT.pack(7, 5, address, 2, packet_bytes, 0)
            for address in (interface.in_address, interface.out_address)
        ]
    return descriptors


def _encode_compat_ids(function: Function) -> bytes:
    """One feature descriptor for all interfaces: Windows loads its WinUSB driver by itself."""
    numbers = range(len(function.interfaces))
    entries = b"".join(_COMPAT_ID.pack(number, 1, _WINUSB, b"") for number in numbers)
    size = _OS_HEAD.size + len(entries)
    return _OS_HEAD.pack(0, size, _OS_VERSION, _OS_COMPAT_IDS, len(numbers)) + entries


def _encode_properties(number: int) -> bytes:
    """The GUID by which libusb finds an interface on Windows; without one it cannot open it."""
    tail = len(_PROPERTY_DATA).to_bytes(4, "little") + _PROPERTY_DATA
    size = _PROPERTY_HEAD.size + len(_PROPERTY_NAME) + len(tail)
    entry = _PROPERTY_HEAD.pack(size, _PROPERTY_STRING, len(_PROPERTY_NAME)) + _PROPERTY_NAME + tail
    return _OS_HEAD.pack(number, _OS_HEAD.size + size, _OS_VERSION, _OS_PROPERTIES, 1) + entry
