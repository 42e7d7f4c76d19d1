"""Parses what ep0 delivers: what happened on the USB bus. Pure.

It decides nothing (`registrar.state` and `registrar.control` do) and reads no file.
Source: struct usb_functionfs_event in include/uapi/linux/usb/functionfs.h, and struct
usb_ctrlrequest in include/uapi/linux/usb/ch9.h.

    offset  size  type    meaning
    0       8     struct  the SETUP packet; zero in all other events
      0     1     u8      bmRequestType (the kernel: bRequestType): direction, type, recipient
      1     1     u8      bRequest
      2     2     u16 LE  wValue
      4     2     u16 LE  wIndex
      6     2     u16 LE  wLength
    8       1     u8      event type
    9       3             padding
    12                    total
"""
# ruff: noqa: N815 - SETUP fields keep the names of the USB specification

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from registrar.errors import BadEvent

__all__ = [
    "EVENT_BYTES",
    "QUEUED_EVENTS_LIMIT",
    "Event",
    "EventType",
    "Setup",
    "parse_event",
    "split_events",
]

_EVENT: Final = struct.Struct("<BBHHHB3x")
EVENT_BYTES: Final = 12
QUEUED_EVENTS_LIMIT: Final = 4  # ffs_data.ev.types in f_fs.c: one read never returns more
_DIRECTION_IN: Final = 0x80  # USB_DIR_IN, from the device to the host


class EventType(IntEnum):
    """enum usb_functionfs_event_type."""

    BIND = 0
    UNBIND = 1
    ENABLE = 2
    DISABLE = 3
    SETUP = 4
    SUSPEND = 5
    RESUME = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """A control request. FunctionFS has already mapped wIndex to our own interface number."""

    bmRequestType: int
    bRequest: int
    wValue: int
    wIndex: int
    wLength: int

    def __post_init__(self) -> None:
        if not 0 <= self.bmRequestType <= 0xFF or not 0 <= self.bRequest <= 0xFF:
            raise ValueError("bmRequestType and bRequest are one byte each")
        if not all(0 <= word <= 0xFFFF for word in (self.wValue, self.wIndex, self.wLength)):
            raise ValueError("wValue, wIndex and wLength are 16 bits each")

    @property
    def is_in(self) -> bool:
        """The answer goes from the device to the host."""
        return bool(self.bmRequestType & _DIRECTION_IN)


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """`setup` is there in SETUP events only."""

    type: EventType
    setup: Setup | None

    def __post_init__(self) -> None:
        if (self.type is EventType.SETUP) != (self.setup is not None):
            raise ValueError("a SETUP event has a setup packet, the others have none")


def split_events(data: bytes) -> Iterator[bytes]:
    """Cuts what one read returned into records for `parse_event`, oldest first.

    Raises:
        BadEvent: the last record is torn; the kernel never does that.
    """
    if len(data) % EVENT_BYTES:
        raise BadEvent(f"expected whole events of {EVENT_BYTES} bytes, found {len(data)} bytes")
    return (data[start : start + EVENT_BYTES] for start in range(0, len(data), EVENT_BYTES))


def parse_event(record: bytes) -> Event:
    """Raises BadEvent for a size or an event type that is not in the table above."""
    if len(record) != EVENT_BYTES:
        raise BadEvent(f"expected an event of {EVENT_BYTES} bytes, found {len(record)}")
    request_type, request, value, index, length, code = _EVENT.unpack(record)
    try:
        event_type = EventType(code)
    except ValueError as error:
        raise BadEvent(f"expected an event type of 0 to 6, found {code}") from error
    if event_type is not EventType.SETUP:
        return Event(type=event_type, setup=None)
    setup = Setup(
        bmRequestType=request_type, bRequest=request, wValue=value, wIndex=index, wLength=length
    )
    return Event(type=event_type, setup=setup)
