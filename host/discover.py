"""Which boards are attached, which of them is meant, and whether it can be used.

Owns the description of a board that people see, the choice among several, and the check of the
ready reply. A board is open only while its serial number is read and it is asked whether it is
ready. Everything here blocks for up to some seconds: async code calls it in a worker thread.
`host.session` and the commands use it; `host.usb` does the USB.

The ready reply, 8 bytes (`broker.contract`):

    offset  size  type     meaning
         0     4  bytes    "TZSG"
         4     2  u16 le   protocol version
         6     1  u8       1 = the signer is up
         7     1  u8       0
"""

import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from broker.contract import INTERFACE_SIGN, PROTOCOL_VERSION, READY_MAGIC, READY_REPLY_BYTES
from host import usb
from host.errors import (
    BadAnswer,
    DeviceGone,
    DeviceUnavailable,
    HostError,
    NoDevice,
    NoPermission,
    NotReady,
    SeveralDevices,
    VersionMismatch,
)
from host.usb_stream import ClaimedInterface

__all__ = [
    "Board",
    "Bus",
    "DeviceInfo",
    "OpenBoard",
    "OpenBus",
    "choose",
    "claim",
    "find_devices",
    "reset_port",
]

_READY_REPLY: Final = struct.Struct("<4sHBB")
assert _READY_REPLY.size == READY_REPLY_BYTES  # noqa: S101 - the layout against the contract


class OpenBoard(Protocol):
    """What `host.usb.OpenBoard` offers, and the tests' fake. Each method raises a HostError."""

    def read_product(self) -> str: ...
    def read_serial(self) -> str: ...
    def ask_ready(self, interface: int) -> bytes: ...
    def claim(self, interface: int) -> ClaimedInterface: ...
    def reset(self) -> None: ...
    def close(self) -> None: ...


class Board(Protocol):
    @property
    def bus_number(self) -> int: ...
    @property
    def address(self) -> int: ...
    @property
    def port_path(self) -> str: ...
    def open(self) -> OpenBoard: ...


class Bus(Protocol):
    def find_boards(self) -> Sequence[Board]: ...
    def close(self) -> None: ...


OpenBus = Callable[[], Bus]


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceInfo:
    """One attached board, as it was when it was looked at.

    `serial` is None where it could not be read. `port_path` is the kernel's name of the place, like
    "1-1.4". `readable`: this user may open it. `ready`: its signer said so. `problem`: one line
    that says why it can't be used, None where it can.
    """

    serial: str | None
    product: str
    bus: int
    address: int
    port_path: str
    readable: bool
    ready: bool
    problem: str | None


def find_devices(open_bus: OpenBus = usb.open_bus) -> tuple[DeviceInfo, ...]:
    """Returns every attached board, usable or not.

    Raises:
        UsbUnsupported: there is no libusb on this machine.
    """
    bus = open_bus()
    try:
        return tuple(_describe(board) for board in bus.find_boards())
    finally:
        bus.close()


def choose(serial: str | None, open_bus: OpenBus = usb.open_bus) -> DeviceInfo:
    """Returns the board with this serial number, or the only one where None; ready or not.

    Raises:
        NoDevice: none is attached, or none with this serial number.
        NoPermission: the one that is meant may be one that could not be opened.
        SeveralDevices: no serial number was given and there are several.
    """
    devices = find_devices(open_bus)
    if serial is None:
        return _only(devices)
    for device in devices:
        if device.serial == serial:
            return device
    for device in devices:
        if not device.readable and device.problem:
            raise NoPermission(device.problem)
    attached = ", ".join(device.serial for device in devices if device.serial) or "none"
    raise NoDevice(f"no board with serial number {serial} is attached (attached: {attached})")


def claim(device: DeviceInfo, interface: int, open_bus: OpenBus = usb.open_bus) -> ClaimedInterface:
    """Takes an interface of this board for this process, if the board is ready.

    Raises:
        DeviceGone: it is not there any more.
        NotReady, VersionMismatch: its ready reply says so.
        DeviceBusy: another process has the interface.
    """
    bus = open_bus()
    try:
        board = _find_again(device, bus)
        opened = board.open()
        try:
            _check_same(opened, device)
            _check_ready(opened.ask_ready(interface), board.port_path)
            return opened.claim(interface)
        except BaseException:
            opened.close()
            raise
    except BaseException:
        bus.close()
        raise


def reset_port(device: DeviceInfo, open_bus: OpenBus = usb.open_bus) -> None:
    """Makes the hub reset this board's port; whoever has an interface of it loses it.

    Raises:
        DeviceGone, NoPermission: it can't be reached.
    """
    bus = open_bus()
    try:
        opened = _find_again(device, bus).open()
        try:
            opened.reset()
        finally:
            opened.close()
    finally:
        bus.close()


def _only(devices: tuple[DeviceInfo, ...]) -> DeviceInfo:
    if not devices:
        raise NoDevice("no board is attached: check its cable and its power")
    if len(devices) > 1:
        serials = ", ".join(device.serial or f"? (usb {device.port_path})" for device in devices)
        raise SeveralDevices(f"several boards are attached, name one of them: {serials}")
    (device,) = devices
    if not device.readable:
        raise NoPermission(device.problem or "no permission for the board")
    return device


def _find_again(device: DeviceInfo, bus: Bus) -> Board:
    for board in bus.find_boards():
        if (board.bus_number, board.address) == (device.bus, device.address):
            return board
    raise DeviceGone(f"the board {device.serial} has left the bus")


def _check_same(opened: OpenBoard, device: DeviceInfo) -> None:
    if device.serial is not None and opened.read_serial() != device.serial:
        raise DeviceGone(f"another board has taken the place of {device.serial}")


def _describe(board: Board) -> DeviceInfo:
    serial, product, ready, readable = None, "", False, True
    problem: HostError | None = None
    try:
        opened = board.open()
        try:
            serial, product = opened.read_serial(), opened.read_product()
            _check_ready(opened.ask_ready(INTERFACE_SIGN), board.port_path)
            ready = True
        finally:
            opened.close()
    except NoPermission as error:
        problem, readable = error, False
    except (DeviceUnavailable, BadAnswer) as error:
        problem = error
    return DeviceInfo(
        serial=serial,
        product=product,
        bus=board.bus_number,
        address=board.address,
        port_path=board.port_path,
        readable=readable,
        ready=ready,
        problem=None if problem is None else str(problem),
    )


def _check_ready(reply: bytes, place: str) -> None:
    if len(reply) != READY_REPLY_BYTES or not reply.startswith(READY_MAGIC):
        raise BadAnswer(f"the device at usb {place} has our USB numbers and is no board of ours")
    _, version, ready, _ = _READY_REPLY.unpack(reply)
    if version != PROTOCOL_VERSION:
        older = "this tezsign" if version > PROTOCOL_VERSION else "the board's image"
        raise VersionMismatch(
            f"the board at usb {place} speaks protocol version {version},"
            f" this tezsign {PROTOCOL_VERSION}: update {older}"
        )
    if ready != 1:
        raise NotReady(f"the board at usb {place} is starting, or its signer has failed: wait")
