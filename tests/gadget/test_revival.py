"""Whatever ends a session, the loop starts another; a dead or stuck broker is never unobserved."""

import os
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import NoReturn, cast

import pytest
import trio

from broker.errors import LinkLost
from broker.pulse import Pulse
from gadget import revival
from gadget.errors import PartStuckError
from gadget.part import Part
from gadget.rpc import Service
from gadget.settings import Settings
from gadget.supervisor import keep_running
from registrar.sockets import listen_local, remove_socket

UIDS = frozenset({os.geteuid()})
SERVICE = cast("Service", object())


class FakeChannel:
    """Runs until it is told to die."""

    def __init__(self) -> None:
        self.started = 0
        self.running = 0
        self.dies = trio.Event()
        self.pulses = 0
        self.is_stuck = False
        self.transfers_received = 0

    def check_pulse(self) -> None:
        self.pulses += 1
        if self.is_stuck:
            raise PartStuckError("interface 0: a worker has not come round for 35 s")

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        self.started += 1
        self.running += 1
        self.dies = trio.Event()
        try:
            task_status.started()
            await self.dies.wait()
        finally:
            self.running -= 1
        raise LinkLost("receive: made to die")


class FakeRegistrar:
    """The enabled socket alone."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._listener = listen_local(path, 0o660)
        self._accepted: list[trio.SocketStream] = []

    async def accept(self) -> None:
        with trio.socket.from_stdlib_socket(self._listener.dup()) as listener:
            accepted, _ = await listener.accept()
        self._accepted.append(trio.SocketStream(accepted))

    async def disable(self) -> None:
        remove_socket(self._path, self._listener)
        for stream in self._accepted:
            await stream.aclose()


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(
        functionfs=tmp_path, data=tmp_path, run=tmp_path, image=tmp_path, registrar_user=""
    )


@pytest.fixture
def channels(monkeypatch: pytest.MonkeyPatch) -> list[FakeChannel]:
    """The two channels, and how often they were opened (in `opened` of the first)."""
    made = [FakeChannel(), FakeChannel()]

    @asynccontextmanager
    async def open_fakes(*_: object) -> AsyncIterator[tuple[FakeChannel, ...]]:
        yield tuple(made)

    monkeypatch.setattr(revival, "open_channels", open_fakes)
    return made


@pytest.fixture
def part() -> Part:
    return Part("usb")


async def run_supervised(settings: Settings, part: Part) -> None:
    await keep_running(part, partial(revival.run_revival, settings, SERVICE, UIDS))


async def wait_until_ready(settings: Settings) -> None:
    await _wait_for_socket(settings, there=True)


async def wait_until_not_ready(settings: Settings) -> None:
    await _wait_for_socket(settings, there=False)


async def _wait_for_socket(settings: Settings, *, there: bool) -> None:
    with trio.fail_after(5):
        while settings.ready_socket.exists() is not there:  # noqa: ASYNC110 - no event
            await trio.sleep(0.01)


async def test_a_session_lasts_as_long_as_usb_is_enabled_and_comes_again(
    settings: Settings, channels: list[FakeChannel], part: Part
) -> None:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(run_supervised, settings, part)
        for number in range(1, 4):
            registrar = FakeRegistrar(settings.enabled_socket)
            await registrar.accept()
            await wait_until_ready(settings)
            assert [channel.started for channel in channels] == [number, number]
            await registrar.disable()
            await wait_until_not_ready(settings)
            assert [channel.running for channel in channels] == [0, 0]
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize("victim", [0, 1])
async def test_a_broker_that_dies_ends_the_session_and_all_starts_again(
    settings: Settings, channels: list[FakeChannel], part: Part, victim: int
) -> None:
    registrar = FakeRegistrar(settings.enabled_socket)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(run_supervised, settings, part)
        await registrar.accept()
        await wait_until_ready(settings)
        channels[victim].dies.set()
        await wait_until_not_ready(settings)
        assert [channel.running for channel in channels] == [0, 0]
        await registrar.accept()
        await wait_until_ready(settings)
        assert [channel.started for channel in channels] == [2, 2]
        nursery.cancel_scope.cancel()
    await registrar.disable()


@pytest.mark.usefixtures("_usb_stays_enabled")
async def test_delays_after_failures_grow_and_are_logged(
    settings: Settings,
    part: Part,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    autojump_clock: trio.testing.MockClock,
) -> None:
    def never_open(*_: object) -> NoReturn:
        raise FileNotFoundError(2, "No such file or directory", "ep1")

    monkeypatch.setattr(revival, "open_channels", never_open)
    with trio.move_on_after(1 * 5 + 5 * 5 + 30 * 2 + 1):
        await run_supervised(settings, part)
    pauses = [record.__dict__["pause_s"] for record in caplog.records]
    assert pauses == [1.0] * 5 + [5.0] * 5 + [30.0] * 3
    assert "FileNotFoundError" in caplog.records[0].__dict__["reasons"]


async def test_cancelled_at_any_moment_it_leaves_no_socket(
    settings: Settings, channels: list[FakeChannel], part: Part
) -> None:
    registrar = FakeRegistrar(settings.enabled_socket)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(run_supervised, settings, part)
        await registrar.accept()
        await wait_until_ready(settings)
        nursery.cancel_scope.cancel()
    assert not settings.ready_socket.exists()
    assert [channel.running for channel in channels] == [0, 0]
    await registrar.disable()


async def always_enabled(*_: object) -> trio.SocketStream:
    """A connection to the enabled socket that nobody closes."""
    mine, other = socket.socketpair()
    _others.append(other)
    return trio.SocketStream(trio.socket.from_stdlib_socket(mine))


_others: list[socket.socket] = []


@pytest.fixture
def _usb_stays_enabled(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(revival, "_wait_enabled", always_enabled)
    yield
    while _others:
        _others.pop().close()


@pytest.mark.usefixtures("_usb_stays_enabled")
async def test_a_heartbeat_goes_through_both_brokers_every_five_seconds(
    settings: Settings,
    channels: list[FakeChannel],
    part: Part,
    autojump_clock: trio.testing.MockClock,
) -> None:
    with trio.move_on_after(3600):
        await run_supervised(settings, part)
    assert [channel.pulses for channel in channels] == [719, 719]
    assert [channel.started for channel in channels] == [1, 1]
    assert part.restarts == 0


@pytest.mark.usefixtures("_usb_stays_enabled")
async def test_a_session_that_waits_for_nothing_is_never_late(
    settings: Settings,
    channels: list[FakeChannel],
    part: Part,
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(run_supervised, settings, part)
        for _ in range(1000):
            await trio.sleep(0.77)
            assert not part.is_late()
            assert part.status == "serving"
        nursery.cancel_scope.cancel()


@pytest.mark.usefixtures("_usb_stays_enabled")
async def test_a_stuck_broker_ends_the_session_and_another_begins(
    settings: Settings,
    channels: list[FakeChannel],
    part: Part,
    caplog: pytest.LogCaptureFixture,
    autojump_clock: trio.testing.MockClock,
) -> None:
    channels[0].is_stuck = True
    with trio.move_on_after(5.5):
        await run_supervised(settings, part)
    channels[0].is_stuck = False
    assert [channel.running for channel in channels] == [0, 0]
    with trio.move_on_after(60):
        await run_supervised(settings, part)
    assert [channel.started for channel in channels] == [2, 2]
    (line,) = caplog.records
    assert "PartStuckError: interface 0: a worker" in line.__dict__["reasons"]


@pytest.mark.usefixtures("_usb_stays_enabled")
async def test_a_session_that_does_not_end_makes_the_part_late(
    settings: Settings,
    channels: list[FakeChannel],
    part: Part,
    monkeypatch: pytest.MonkeyPatch,
    autojump_clock: trio.testing.MockClock,
) -> None:
    async def run_for_ever(
        *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
    ) -> None:
        task_status.started()
        with trio.CancelScope(shield=True):
            await can_end.wait()

    can_end = trio.Event()
    monkeypatch.setattr(channels[0], "run", run_for_ever)
    channels[0].is_stuck = True
    async with trio.open_nursery() as nursery:
        nursery.start_soon(run_supervised, settings, part)
        await trio.sleep(30)
        assert not part.is_late()  # a key derivation may take a while
        await trio.sleep(15)
        assert part.is_late()
        channels[0].is_stuck = False
        can_end.set()
        await trio.sleep(5)
        assert not part.is_late()
        nursery.cancel_scope.cancel()


async def test_without_usb_the_part_beats_and_says_what_it_waits_for(
    settings: Settings, part: Part, autojump_clock: trio.testing.MockClock
) -> None:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(run_supervised, settings, part)
        for _ in range(20):
            await trio.sleep(5.03)
            assert not part.is_late()
            assert part.status == "waiting for USB"
        nursery.cancel_scope.cancel()


@pytest.mark.usefixtures("_usb_stays_enabled")
async def test_a_hanging_task_of_the_ready_socket_ends_the_session(
    settings: Settings,
    channels: list[FakeChannel],
    part: Part,
    monkeypatch: pytest.MonkeyPatch,
    autojump_clock: trio.testing.MockClock,
) -> None:
    @asynccontextmanager
    async def serve_nothing(*_: object) -> AsyncIterator[Pulse]:
        pulse = Pulse()
        pulse.join("ready socket")
        yield pulse

    monkeypatch.setattr(revival, "serve_ready", serve_nothing)
    with trio.move_on_after(19):
        await run_supervised(settings, part)
    assert part.restarts == 0
    with trio.move_on_after(30):
        await run_supervised(settings, part)
    assert part.restarts == 1
