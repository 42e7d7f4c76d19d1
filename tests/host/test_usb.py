"""What can be checked of pyusb and libusb without a bus: layouts, loading, error translation."""

import ctypes
import errno
import subprocess
import sys
from pathlib import Path

import pytest
import usb.backend.libusb1 as pyusb
import usb.core

from host import libusb_abi
from host import usb as host_usb
from host.errors import (
    BadAnswer,
    DeviceBusy,
    DeviceGone,
    DeviceSilent,
    HostError,
    NoPermission,
    UsbUnsupported,
)
from host.libusb_abi import Libusb, LibusbError, TransferStruct
from host.usb_transfer import PollSet


def count_kept() -> tuple[int, int]:
    """Descriptors and threads of this process."""
    return len([*Path("/proc/self/fd").iterdir()]), len([*Path("/proc/self/task").iterdir()])


def test_transfer_structure_has_pyusbs_layout() -> None:
    theirs = pyusb._libusb_transfer  # type: ignore[attr-defined]
    for name, _ in TransferStruct._fields_:
        assert getattr(TransferStruct, name).offset == getattr(theirs, name).offset, name
        assert getattr(TransferStruct, name).size == getattr(theirs, name).size, name


@pytest.mark.skipif(ctypes.sizeof(ctypes.c_void_p) != 8, reason="the table is for 64 bits")
def test_transfer_structure_is_as_its_table_says() -> None:
    rows = [line.split() for line in (libusb_abi.__doc__ or "").splitlines()]
    table = {
        row[2]: (int(row[0]), int(row[1])) for row in rows if len(row) > 2 and row[0].isdigit()
    }
    found = {
        name: (getattr(TransferStruct, name).offset, getattr(TransferStruct, name).size)
        for name, _ in TransferStruct._fields_
    }
    assert table == found


def test_error_numbers_are_pyusbs() -> None:
    for error in LibusbError:
        name = f"LIBUSB_{'' if error == LibusbError.SUCCESS else 'ERROR_'}{error.name}"
        assert getattr(pyusb, name) == error


def run_program(program: str) -> tuple[int, str, str]:
    """Returns the exit status and what it wrote."""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    return done.returncode, done.stdout, done.stderr


@pytest.mark.skipif(sys.platform != "linux", reason="/proc")
def test_no_context_outlives_a_look_at_the_bus() -> None:
    """One whose events nobody handles would grow with every hotplug."""
    look = "from host import usb; usb.open_bus().close()"
    count = "import os; print(len(os.listdir('/proc/self/task')))"
    assert run_program(f"{look}; {count}") == (0, "1\n", "")


@pytest.mark.skipif(sys.platform != "linux", reason="/proc")
def test_looking_at_the_bus_leaves_nothing_behind() -> None:
    def look() -> None:
        bus = host_usb.open_bus()
        bus.find_boards()
        library = Libusb(bus.backend.lib, bus.backend.ctx.value or 0)
        poll_set = PollSet(library)
        assert library.handle_events() == LibusbError.SUCCESS
        bus.close()
        poll_set.close()

    look()
    before = count_kept()
    for _ in range(50):
        look()
    assert count_kept() == before


def test_process_with_an_open_bus_ends_quietly() -> None:
    program = "from host import usb; bus = usb.open_bus(); bus.find_boards()"
    assert run_program(program) == (0, "", "")


def test_machine_without_libusb_is_told_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pyusb, "get_backend", lambda **_: None)
    with pytest.raises(UsbUnsupported, match="apt install"):
        host_usb.open_bus()


@pytest.mark.parametrize(
    ("number", "error", "text"),
    [
        (errno.EACCES, DeviceBusy, "interface 0 .* in use"),
        (errno.EBUSY, DeviceBusy, "interface 0 .* in use by another tezsign"),
        (errno.ETIMEDOUT, DeviceSilent, "does not answer"),
        (errno.EPIPE, BadAnswer, "refused"),
        (errno.ENODEV, DeviceGone, "cannot be reached"),
        (errno.EIO, DeviceGone, "cannot be reached"),
        (None, DeviceGone, "cannot be reached"),
    ],
)
def test_usb_error_is_translated(number: int | None, error: type[HostError], text: str) -> None:
    with pytest.raises(error, match=text) as caught, host_usb._translated("1-4", 0):
        raise usb.core.USBError("libusb said so", -1, number)
    assert "1-4" in str(caught.value)


def test_board_that_may_not_be_opened_is_no_busy_one() -> None:
    with pytest.raises(NoPermission, match="udev rule"), host_usb._translated("1-4"):
        raise usb.core.USBError("libusb said so", -1, errno.EACCES)


def test_device_without_a_driver_is_no_board() -> None:
    with pytest.raises(BadAnswer, match="cannot be used"), host_usb._translated("1-4"):
        raise NotImplementedError("no driver")
