"""Which board is chosen, what is said about one that can't be used, and that nothing stays open."""

import pytest

from broker.contract import INTERFACE_MANAGE, INTERFACE_SIGN, PRODUCT, PROTOCOL_VERSION
from host.discover import DeviceInfo, choose, claim, find_devices
from host.errors import (
    BadAnswer,
    DeviceBusy,
    DeviceGone,
    DeviceSilent,
    ExitStatus,
    HostError,
    NoDevice,
    NoPermission,
    NotReady,
    SeveralDevices,
    VersionMismatch,
)
from tests.fakes.usb import FakeUsb, FakeUsbBoard, ready_reply


def only_device(usb: FakeUsb) -> DeviceInfo:
    (device,) = find_devices(usb.open_bus)
    return device


def assert_nothing_is_open(usb: FakeUsb) -> None:
    assert usb.open_buses == 0
    assert [board.opened for board in usb.boards] == [0] * len(usb.boards)


def test_no_board_is_found_where_none_is_attached() -> None:
    usb = FakeUsb()
    assert find_devices(usb.open_bus) == ()
    with pytest.raises(NoDevice, match="no board is attached") as caught:
        choose(None, usb.open_bus)
    assert caught.value.exit_status == ExitStatus.NO_DEVICE
    assert_nothing_is_open(usb)


def test_ready_board_is_described() -> None:
    usb = FakeUsb(FakeUsbBoard("A", bus=3, address=7))
    assert only_device(usb) == DeviceInfo(
        serial="A",
        product=PRODUCT,
        bus=3,
        address=7,
        port_path="3-7",
        readable=True,
        ready=True,
        problem=None,
    )
    assert_nothing_is_open(usb)


def test_only_board_is_chosen_without_a_serial_number() -> None:
    usb = FakeUsb(FakeUsbBoard("A"))
    assert choose(None, usb.open_bus).serial == "A"


def test_one_of_several_boards_must_be_named() -> None:
    usb = FakeUsb(FakeUsbBoard("A", address=2), FakeUsbBoard("B", address=3))
    with pytest.raises(SeveralDevices, match="A, B") as caught:
        choose(None, usb.open_bus)
    assert caught.value.exit_status == ExitStatus.USAGE
    assert choose("B", usb.open_bus).address == 3
    assert_nothing_is_open(usb)


def test_unknown_serial_number_says_what_is_attached() -> None:
    usb = FakeUsb(FakeUsbBoard("A", address=2), FakeUsbBoard("B", address=3))
    with pytest.raises(NoDevice, match=r"serial number C is attached .*A, B"):
        choose("C", usb.open_bus)


def test_board_that_may_not_be_opened_says_so() -> None:
    board = FakeUsbBoard("A")
    board.forbid()
    usb = FakeUsb(board)
    device = only_device(usb)
    assert (device.serial, device.readable, device.ready) == (None, False, False)
    assert device.problem is not None
    assert "udev rule" in device.problem
    for serial in (None, "A"):
        with pytest.raises(NoPermission, match="udev rule"):
            choose(serial, usb.open_bus)


def test_board_that_may_not_be_opened_does_not_hide_another() -> None:
    forbidden = FakeUsbBoard("A", address=2)
    forbidden.forbid()
    usb = FakeUsb(forbidden, FakeUsbBoard("B", address=3))
    assert choose("B", usb.open_bus).serial == "B"
    with pytest.raises(SeveralDevices, match=r"\? \(usb 1-2\), B"):
        choose(None, usb.open_bus)


@pytest.mark.parametrize(
    ("reply", "error", "text"),
    [
        (ready_reply(ready=0), NotReady, "starting"),
        (ready_reply(ready=7), NotReady, "starting"),
        (ready_reply(version=PROTOCOL_VERSION + 1), VersionMismatch, "update this tezsign"),
        (ready_reply(version=0), VersionMismatch, "update the board's image"),
        (ready_reply(magic=b"ELSE"), BadAnswer, "no board of ours"),
        (ready_reply()[:7], BadAnswer, "no board of ours"),
        (b"", BadAnswer, "no board of ours"),
    ],
)
def test_ready_reply_decides(reply: bytes, error: type[HostError], text: str) -> None:
    board = FakeUsbBoard("A")
    usb = FakeUsb(board)
    device = only_device(usb)
    board.ready = reply
    assert not only_device(usb).ready
    assert text in (only_device(usb).problem or "")
    assert choose("A", usb.open_bus).serial == "A"
    with pytest.raises(error, match=text):
        claim(device, INTERFACE_SIGN, usb.open_bus)
    assert board.claims == 0
    assert_nothing_is_open(usb)


def test_board_that_does_not_answer_is_described_and_not_claimed() -> None:
    board = FakeUsbBoard("A")
    board.ready_error = DeviceSilent("the board does not answer")
    usb = FakeUsb(board)
    device = only_device(usb)
    assert (device.serial, device.readable, device.ready) == ("A", True, False)
    with pytest.raises(DeviceSilent):
        claim(device, INTERFACE_SIGN, usb.open_bus)
    assert_nothing_is_open(usb)


async def test_interface_is_claimed_once_and_the_other_one_stays_free() -> None:
    board = FakeUsbBoard("A")
    usb = FakeUsb(board)
    device = only_device(usb)
    claimed = claim(device, INTERFACE_SIGN, usb.open_bus)
    with pytest.raises(DeviceBusy, match="another tezsign"):
        claim(device, INTERFACE_SIGN, usb.open_bus)
    assert (board.opened, usb.open_buses) == (1, 1)
    await claim(device, INTERFACE_MANAGE, usb.open_bus).release()
    await claimed.release()
    assert_nothing_is_open(usb)
    await claim(device, INTERFACE_SIGN, usb.open_bus).release()


def test_board_that_left_since_it_was_chosen_is_gone() -> None:
    board = FakeUsbBoard("A")
    usb = FakeUsb(board)
    device = only_device(usb)
    usb.unplug(board)
    with pytest.raises(DeviceGone, match="A has left"):
        claim(device, INTERFACE_SIGN, usb.open_bus)
    assert_nothing_is_open(usb)


def test_another_board_at_the_same_place_is_not_taken_for_the_chosen_one() -> None:
    usb = FakeUsb(FakeUsbBoard("A"))
    device = only_device(usb)
    usb.boards = [FakeUsbBoard("B")]
    with pytest.raises(DeviceGone, match="taken the place of A"):
        claim(device, INTERFACE_SIGN, usb.open_bus)
    assert_nothing_is_open(usb)
