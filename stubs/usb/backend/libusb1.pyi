import ctypes
from array import array
from collections.abc import Callable, Iterable

class Device:
    def finalize(self) -> None: ...

class DeviceHandle:
    handle: ctypes.c_void_p

class DeviceDescriptor:
    idVendor: int
    idProduct: int
    iProduct: int
    iSerialNumber: int
    bus: int
    address: int
    port_numbers: tuple[int, ...] | None

class InterfaceDescriptor:
    bNumEndpoints: int

class EndpointDescriptor:
    bEndpointAddress: int
    bmAttributes: int
    wMaxPacketSize: int

class Backend:
    lib: ctypes.CDLL
    ctx: ctypes.c_void_p
    def __init__(self, lib: ctypes.CDLL) -> None: ...
    def finalize(self) -> None: ...
    def enumerate_devices(self) -> Iterable[Device]: ...
    def get_device_descriptor(self, dev: Device) -> DeviceDescriptor: ...
    def get_interface_descriptor(
        self, dev: Device, intf: int, alt: int, config: int
    ) -> InterfaceDescriptor: ...
    def get_endpoint_descriptor(
        self, dev: Device, ep: int, intf: int, alt: int, config: int
    ) -> EndpointDescriptor: ...
    def open_device(self, dev: Device) -> DeviceHandle: ...
    def close_device(self, dev_handle: DeviceHandle) -> None: ...
    def claim_interface(self, dev_handle: DeviceHandle, intf: int) -> None: ...
    def release_interface(self, dev_handle: DeviceHandle, intf: int) -> None: ...
    def reset_device(self, dev_handle: DeviceHandle) -> None: ...
    def clear_halt(self, dev_handle: DeviceHandle, ep: int) -> None: ...
    def bulk_write(
        self, dev_handle: DeviceHandle, ep: int, intf: int, data: array[int], timeout: int
    ) -> int: ...
    def bulk_read(
        self, dev_handle: DeviceHandle, ep: int, intf: int, buff: array[int], timeout: int
    ) -> int: ...
    def ctrl_transfer(
        self,
        dev_handle: DeviceHandle,
        bmRequestType: int,
        bRequest: int,
        wValue: int,
        wIndex: int,
        data: array[int],
        timeout: int,
    ) -> int: ...

def get_backend(find_library: Callable[[str], str | None] | None = ...) -> Backend | None: ...
