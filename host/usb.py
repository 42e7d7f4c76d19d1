"""The boards on this machine's USB, through pyusb. The only file that imports it.

Owns finding, opening, the control requests, claiming, and the translation of pyusb's errors. Every
function blocks: async code runs it in a worker thread. Decides nothing about which board is meant
or good (`host.discover`), moves no data (`host.usb_stream`). Only pyusb's backend layer is used:
its device layer claims and configures by itself. Source: USB 2.0, chapter 9 (standard requests,
string descriptors).
"""

import contextlib
import ctypes
import errno
import sys
import threading
from array import array
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

import trio
import usb.backend.libusb1
import usb.core

from broker.contract import (
    PRODUCT_ID,
    READY_LOOK,
    READY_REPLY_BYTES,
    READY_REQUEST,
    READY_REQUEST_TYPES,
    READY_SESSION_FOLLOWS,
    VENDOR_ID,
)
from host.errors import (
    BadAnswer,
    DeviceBusy,
    DeviceGone,
    DeviceSilent,
    HostError,
    NoPermission,
    UsbUnsupported,
)
from host.libusb_abi import Libusb
from host.usb_stream import ClaimedInterface
from host.usb_transfer import PollSet

if TYPE_CHECKING:  # pyusb gives these no public names; the stub does
    from usb.backend.libusb1 import Backend, Device, DeviceDescriptor, DeviceHandle

__all__ = ["AttachedBoard", "OpenBoard", "UsbBus", "open_bus"]

_CONTROL_TIMEOUT_MS: Final = 1000
_REQUEST_GET_STATUS: Final = 0
_REQUEST_GET_DESCRIPTOR: Final = 6
_TYPE_DEVICE_IN: Final = 0x80
_TYPE_ENDPOINT_IN: Final = 0x82
_DESCRIPTOR_STRING: Final = 3
_ENGLISH: Final = 0x0409
_ENDPOINT_IN_BIT: Final = 0x80
_ENDPOINT_TYPE_MASK: Final = 3
_ENDPOINT_BULK: Final = 2
_HALTED: Final = 1

# pyusb loads the library on the first call, with no lock of its own.
_load_lock = threading.Lock()


class UsbBus:
    """The bus as it was when this was opened, in a libusb context of its own.

    So a look at the bus depends on no hotplug event of the past, which libusb gets from udev only,
    and what one session does with its context concerns no other.
    """

    def __init__(self, backend: "Backend") -> None:
        self.backend = backend
        self._devices: list[Device] = []

    def find_boards(self) -> "tuple[AttachedBoard, ...]":
        """Returns every board, in the order of their places. Opens none."""
        found = []
        for device in self.backend.enumerate_devices():
            self._devices.append(device)
            descriptor = self.backend.get_device_descriptor(device)
            if (descriptor.idVendor, descriptor.idProduct) == (VENDOR_ID, PRODUCT_ID):
                found.append(AttachedBoard(self, device, descriptor))
        return tuple(sorted(found, key=lambda board: (board.bus_number, board.port_path)))

    def close(self) -> None:
        """Ends the context; every board of it must be closed."""
        for device in self._devices:
            device.finalize()
        self.backend.finalize()


class AttachedBoard:
    """A board on the bus, not open. Its place is known without permission."""

    def __init__(self, bus: UsbBus, device: "Device", descriptor: "DeviceDescriptor") -> None:
        self.bus = bus
        self.device = device
        self.descriptor = descriptor
        self.bus_number: int = descriptor.bus
        self.address: int = descriptor.address
        # as Linux names it: bus, then the port of each hub on the way
        ports = ".".join(map(str, descriptor.port_numbers or (0,)))
        self.port_path = f"{self.bus_number}-{ports}"

    def open(self) -> "OpenBoard":
        """Raises NoPermission, DeviceGone."""
        with _translated(self.port_path):
            return OpenBoard(self, self.bus.backend.open_device(self.device))


class OpenBoard:
    """A board that answers control requests. Every method raises the translation of a USB error."""

    def __init__(self, board: AttachedBoard, handle: "DeviceHandle") -> None:
        self._board = board
        self._backend = board.bus.backend
        self._handle = handle
        self._place = board.port_path

    def read_product(self) -> str:
        return self._read_string(self._board.descriptor.iProduct)

    def read_serial(self) -> str:
        return self._read_string(self._board.descriptor.iSerialNumber)

    def ask_ready(self, interface: int) -> bytes:
        """Returns the 8 bytes of the ready reply, unchecked (see `broker.contract`)."""
        return self._request_ready(interface, READY_LOOK)

    def claim(self, interface: int) -> ClaimedInterface:
        """Takes the interface for this process, clears a halt that an earlier one left, and tells
        the board that a session follows.

        What is returned owns this board and its bus; where this raises, both are as they were.

        Raises:
            DeviceBusy: another process has it.
            BadAnswer: its endpoints are not those of a board of ours.
            UsbUnsupported: libusb on this system cannot be waited for.
        """
        endpoint_in, endpoint_out, packet_bytes = self._find_endpoints(interface)
        with _translated(self._place, interface):
            self._backend.claim_interface(self._handle, interface)
        for endpoint in (endpoint_in, endpoint_out):
            self._clear_halt(endpoint)
        # A board that hears this and sees no traffic takes its USB controller for wedged. So only
        # who has the interface says it, not one of many that find it busy.
        self._request_ready(interface, READY_SESSION_FOLLOWS)
        library = Libusb(self._backend.lib, self._backend.ctx.value or 0)
        poll_set = PollSet(library)

        async def release() -> None:
            # Closing waits in the kernel for what is still on the bus: not on the trio thread.
            await trio.to_thread.run_sync(
                self._release, interface, poll_set, abandon_on_cancel=True
            )

        return ClaimedInterface(
            library=library,
            poll_fd=poll_set.fd,
            handle=self._handle.handle.value or 0,
            endpoint_in=endpoint_in,
            endpoint_out=endpoint_out,
            packet_bytes=packet_bytes,
            release=release,
        )

    def reset(self) -> None:
        """Resets the board's port. The board may be another device of the bus afterwards."""
        try:
            with _translated(self._place):
                self._backend.reset_device(self._handle)
        except DeviceGone as error:
            # libusb's NOT_FOUND: it came back with a new address, as a board that restarts does
            if not _is_not_found(error.__cause__):
                raise

    def close(self) -> None:
        """Also gives back what was claimed."""
        self._backend.close_device(self._handle)

    def _request_ready(self, interface: int, value: int) -> bytes:
        return self._control_in(
            READY_REQUEST_TYPES[0], READY_REQUEST, value, interface, READY_REPLY_BYTES
        )

    def _release(self, interface: int, poll_set: PollSet) -> None:
        with contextlib.suppress(usb.core.USBError):  # where it left, its claims went along
            self._backend.release_interface(self._handle, interface)
        self.close()
        self._board.bus.close()
        poll_set.close()

    def _find_endpoints(self, interface: int) -> tuple[int, int, int]:
        found = {}
        with _translated(self._place):
            described = self._backend.get_interface_descriptor(self._board.device, interface, 0, 0)
            for index in range(described.bNumEndpoints):
                endpoint = self._backend.get_endpoint_descriptor(
                    self._board.device, index, interface, 0, 0
                )
                if endpoint.bmAttributes & _ENDPOINT_TYPE_MASK == _ENDPOINT_BULK:
                    address = endpoint.bEndpointAddress
                    found[address & _ENDPOINT_IN_BIT] = (address, endpoint.wMaxPacketSize)
        if set(found) != {0, _ENDPOINT_IN_BIT}:
            raise BadAnswer(
                f"interface {interface} of the device at usb {self._place} is no board's"
            )
        (address_in, packet_bytes), (address_out, _) = found[_ENDPOINT_IN_BIT], found[0]
        return address_in, address_out, packet_bytes

    def _clear_halt(self, endpoint: int) -> None:
        # A board whose controller knows no such request has nothing that could be cleared.
        with contextlib.suppress(BadAnswer), _translated(self._place):
            status = self._control_in(_TYPE_ENDPOINT_IN, _REQUEST_GET_STATUS, 0, endpoint, 2)
            if status[0] & _HALTED:
                self._backend.clear_halt(self._handle, endpoint)

    def _read_string(self, index: int) -> str:
        if index == 0:
            return ""
        value = _DESCRIPTOR_STRING << 8 | index
        reply = self._control_in(_TYPE_DEVICE_IN, _REQUEST_GET_DESCRIPTOR, value, _ENGLISH, 255)
        # bLength u8 · bDescriptorType u8 · UTF-16LE
        return reply[2 : reply[0]].decode("utf-16-le", "replace")

    def _control_in(self, kind: int, request: int, value: int, index: int, length: int) -> bytes:
        reply = array("B", bytes(length))
        with _translated(self._place):
            count = self._backend.ctrl_transfer(
                self._handle, kind, request, value, index, reply, _CONTROL_TIMEOUT_MS
            )
        return reply.tobytes()[:count]


def open_bus() -> UsbBus:
    """Looks at the bus as it is now.

    Raises:
        UsbUnsupported: there is no libusb, or no USB, on this machine.
    """
    make_context, library = _load_library()
    try:
        return UsbBus(make_context(library))
    except usb.core.USBError as error:
        raise UsbUnsupported(f"libusb cannot start: {error.strerror}") from error


def _load_library() -> "tuple[type[Backend], ctypes.CDLL]":
    # ctypes.util.find_library runs ldconfig and gcc on Linux: name the library
    name = "libusb-1.0.so.0" if sys.platform == "linux" else None
    with _load_lock:
        backend = usb.backend.libusb1.get_backend(find_library=(lambda _: name) if name else None)
        if backend is None:
            raise UsbUnsupported(
                "libusb 1.0 cannot be used: install it"
                " (apt install libusb-1.0-0, or brew install libusb)"
            )
        # Nobody would handle the events of pyusb's own context: every hotplug would grow it.
        backend.finalize()
    return type(backend), backend.lib


def _is_not_found(error: BaseException | None) -> bool:
    return isinstance(error, usb.core.USBError) and error.errno == errno.ENOENT


@contextlib.contextmanager
def _translated(place: str, interface: int | None = None) -> Iterator[None]:
    """Turns pyusb's errors into ours; `interface` is the one that is being claimed."""
    try:
        yield
    except usb.core.USBError as error:
        raise _translate(error, place, interface) from error
    except (NotImplementedError, IndexError) as error:  # no driver; no such interface
        raise BadAnswer(f"the device at usb {place} cannot be used as a board: {error}") from error


def _translate(error: usb.core.USBError, place: str, interface: int | None) -> HostError:
    match error.errno:
        case errno.EBUSY | errno.EACCES if interface is not None:  # EACCES: what macOS says
            return DeviceBusy(
                f"interface {interface} of the board at usb {place} is in use by another tezsign:"
                " stop that one first"
            )
        case errno.EACCES:
            return NoPermission(
                f"no permission for the board at usb {place}: install the udev rule"
                " 99-tezsign.rules, then plug the board in again"
            )
        case errno.ETIMEDOUT:
            return DeviceSilent(f"the board at usb {place} does not answer control requests")
        case errno.EPIPE:
            return BadAnswer(f"the board at usb {place} refused a control request")
        case _:
            return DeviceGone(f"the board at usb {place} cannot be reached: {error.strerror}")
