"""`tezsign advanced usb-port-reset`: which board, the wait for it, and how it ends."""

import errno
import json
from types import SimpleNamespace

import pytest
import usb.core

from host import cli, discover
from host.commands import port_reset
from host.discover import DeviceInfo, OpenBus
from host.errors import DeviceGone, ExitStatus, NoPermission
from host.usb import OpenBoard
from tests.fakes.usb import FakeUsb, FakeUsbBoard, ready_reply


class Bench:
    """Two boards; `now_s` moves as the command sleeps."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.boards = (FakeUsbBoard("A"), FakeUsbBoard("B", address=3))
        self.bus = FakeUsb(*self.boards)
        self.now_s = 0.0
        self.ready_again_s = 0.0
        real_reset = discover.reset_port

        def reset(device: DeviceInfo) -> None:
            real_reset(device, self.bus.open_bus)
            self.boards[0].ready = ready_reply(ready=0)
            self.ready_again_s = self.now_s + 3

        def find() -> tuple[DeviceInfo, ...]:
            if self.now_s >= self.ready_again_s:
                self.boards[0].ready = ready_reply()
            return discover.find_devices(self.bus.open_bus)

        def sleep(seconds: float) -> None:
            self.now_s += seconds

        patch.setattr(port_reset, "choose", lambda serial: discover.choose(serial, self.open))
        patch.setattr(port_reset, "find_devices", find)
        patch.setattr(port_reset, "reset_port", reset)
        clock = SimpleNamespace(monotonic=lambda: self.now_s, sleep=sleep)
        patch.setattr(port_reset, "time", clock)

    @property
    def open(self) -> OpenBus:
        return self.bus.open_bus

    @property
    def resets(self) -> list[int]:
        return [board.resets for board in self.boards]


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Bench:
    return Bench(monkeypatch)


def run(*arguments: str) -> int:
    return cli.main(["advanced", "usb-port-reset", *arguments])


def test_board_that_is_named_is_reset_and_waited_for(
    bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("--device", "A") == ExitStatus.DONE
    assert bench.resets == [1, 0]
    assert 3 <= bench.now_s < 4
    back = json.loads(capsys.readouterr().out)
    assert back == {"serial": "A", "port": bench.boards[0].port_path, "ready": True}
    assert bench.bus.open_buses == 0
    assert bench.boards[0].opened == 0


def test_board_that_tells_no_serial_is_named_by_its_port(bench: Bench) -> None:
    bench.boards[0].ready_error = DeviceGone("it hangs")
    bench.ready_again_s = 3
    assert run("--port", "1-9") == ExitStatus.NO_DEVICE
    assert bench.resets == [0, 0]
    bench.boards[0].ready_error = None
    assert run("--port", bench.boards[0].port_path) == ExitStatus.DONE
    assert bench.resets == [1, 0]


def test_none_of_several_boards_is_reset_by_chance(bench: Bench) -> None:
    assert run() == ExitStatus.USAGE
    assert bench.resets == [0, 0]


def test_board_that_stays_away_is_told(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(port_reset, "reset_port", lambda _: bench.bus.unplug(bench.boards[0]))
    assert run("--device", "A") == ExitStatus.NO_DEVICE
    assert "not on the bus any more; cut its power" in capsys.readouterr().err
    assert 20 <= bench.now_s < 21


def test_board_without_permission_is_not_reset_and_nothing_stays_open() -> None:
    board = FakeUsbBoard("A")
    bus = FakeUsb(board)
    device = discover.choose("A", bus.open_bus)
    board.forbid()
    with pytest.raises(NoPermission):
        discover.reset_port(device, bus.open_bus)
    assert (board.resets, board.opened, bus.open_buses) == (0, 0, 0)


class Backend:
    """pyusb's, whose reset ends as libusb's does."""

    def __init__(self, number: int | None) -> None:
        self._number = number

    def reset_device(self, _handle: object) -> None:
        if self._number is not None:
            raise usb.core.USBError("libusb said so", -1, self._number)


@pytest.mark.parametrize("number", [None, errno.ENOENT])
def test_board_that_comes_back_as_another_device_was_reset(number: int | None) -> None:
    open_board(number).reset()


@pytest.mark.parametrize("number", [errno.ENODEV, errno.EIO])
def test_board_that_left_was_not(number: int) -> None:
    with pytest.raises(DeviceGone):
        open_board(number).reset()


def open_board(number: int | None) -> OpenBoard:
    board = OpenBoard.__new__(OpenBoard)
    board._backend = Backend(number)  # type: ignore[assignment]
    board._handle = None  # type: ignore[assignment]
    board._place = "1-1"
    return board
