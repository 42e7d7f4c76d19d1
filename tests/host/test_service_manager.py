"""What systemd is told, over a real datagram socket, and when the watchdog is not fed."""

import math
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
import trio
from trio.testing import MockClock

from host.errors import HostError, NoDevice
from host.service_manager import ServiceManager


class Heart:
    def __init__(self) -> None:
        self.problem: HostError | None = None
        self.serial: str | None = "a1"
        self.beats = True

    async def wait_turn(self) -> None:
        await trio.sleep(1 if self.beats else math.inf)


class Voice:
    def __init__(self) -> None:
        self.error: OSError | None = None
        self.beats = True

    async def beat(self) -> None:
        await trio.sleep(0 if self.beats else math.inf)
        if self.error is not None:
            raise self.error


@pytest.fixture
def systemd(tmp_path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(str(tmp_path / "notify"))
        listener.setblocking(False)
        yield listener


def heard(systemd: socket.socket) -> list[str]:
    messages = []
    while True:
        try:
            messages.append(systemd.recv(1000).decode())
        except BlockingIOError:
            return messages


async def follow(
    systemd: socket.socket, heart: Heart, voice: Voice, duration_s: float = 30
) -> list[str]:
    manager = ServiceManager({"NOTIFY_SOCKET": systemd.getsockname()})
    with trio.move_on_after(duration_s):
        await manager.follow(heart, voice)
    return heard(systemd)


async def test_ready_is_said_once_and_the_watchdog_fed_while_all_goes_round(
    systemd: socket.socket, autojump_clock: MockClock
) -> None:
    first, *others = await follow(systemd, Heart(), Voice(), 60)
    assert first == "READY=1\nSTATUS=serving board a1"
    assert set(others) == {"WATCHDOG=1\nSTATUS=serving board a1"}
    assert 6 <= len(others) <= 12


async def test_status_says_what_is_missing(
    systemd: socket.socket, autojump_clock: MockClock
) -> None:
    heart = Heart()
    heart.problem = NoDevice("no board is attached:\ncheck its cable")
    messages = await follow(systemd, heart, Voice())
    assert "STATUS=no board: no board is attached: check its cable" in messages[-1]


@pytest.mark.parametrize("fault", ["session hangs", "nobody accepts", "nothing listens"])
async def test_fault_of_one_of_them_ends_the_feeding(
    fault: str, systemd: socket.socket, autojump_clock: MockClock
) -> None:
    heart, voice = Heart(), Voice()
    heart.beats = fault != "session hangs"
    voice.beats = fault != "nobody accepts"
    voice.error = OSError("refused") if fault == "nothing listens" else None
    assert await follow(systemd, heart, voice) == ["READY=1\nSTATUS=serving board a1"]


async def test_listener_that_is_back_is_fed_for_again(
    systemd: socket.socket, autojump_clock: MockClock
) -> None:
    heart, voice = Heart(), Voice()
    voice.error = OSError("refused")
    async with trio.open_nursery() as nursery:
        manager = ServiceManager({"NOTIFY_SOCKET": systemd.getsockname()})
        nursery.start_soon(manager.follow, heart, voice)
        await trio.sleep(30)
        voice.error = None
        await trio.sleep(10)
        assert any("WATCHDOG=1" in message for message in heard(systemd))
        nursery.cancel_scope.cancel()


async def test_nothing_is_done_without_systemd() -> None:
    manager = ServiceManager({})
    await manager.follow(Heart(), Voice())
    manager.say_stopping()


async def test_stopping_is_said(systemd: socket.socket) -> None:
    ServiceManager({"NOTIFY_SOCKET": systemd.getsockname()}).say_stopping()
    assert heard(systemd) == ["STOPPING=1"]


def test_abstract_address_is_understood() -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind("\0tezsign-test-notify")
        ServiceManager({"NOTIFY_SOCKET": "@tezsign-test-notify"}).say_stopping()
        assert listener.recv(100) == b"STOPPING=1"


async def test_systemd_that_does_not_read_costs_a_message_and_no_wait(
    systemd: socket.socket, caplog: pytest.LogCaptureFixture
) -> None:
    manager = ServiceManager({"NOTIFY_SOCKET": systemd.getsockname()})
    for _ in range(1000):
        manager.say_stopping()
    assert "systemd has not got a message" in {r.getMessage() for r in caplog.records}
    systemd.close()
    manager.say_stopping()
