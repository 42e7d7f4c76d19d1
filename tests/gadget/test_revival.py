"""Whatever ends a session, the loop starts another; a dead broker is never unobserved."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NoReturn, cast

import pytest
import trio

from broker.errors import LinkLost
from gadget import revival
from gadget.rpc import Service
from gadget.settings import Settings
from registrar.sockets import listen_local, remove_socket

UIDS = frozenset({os.geteuid()})
SERVICE = cast("Service", object())


class FakeChannel:
    """Runs until it is told to die."""

    def __init__(self) -> None:
        self.started = 0
        self.running = 0
        self.dies = trio.Event()

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


async def wait_until_ready(settings: Settings) -> None:
    await _wait_for_socket(settings, there=True)


async def wait_until_not_ready(settings: Settings) -> None:
    await _wait_for_socket(settings, there=False)


async def _wait_for_socket(settings: Settings, *, there: bool) -> None:
    with trio.fail_after(5):
        while settings.ready_socket.exists() is not there:  # noqa: ASYNC110 - no event
            await trio.sleep(0.01)


async def test_a_session_lasts_as_long_as_usb_is_enabled_and_comes_again(
    settings: Settings, channels: list[FakeChannel]
) -> None:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(revival.run_revival, settings, SERVICE, UIDS)
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
    settings: Settings, channels: list[FakeChannel], victim: int
) -> None:
    registrar = FakeRegistrar(settings.enabled_socket)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(revival.run_revival, settings, SERVICE, UIDS)
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


async def test_delays_after_failures_grow_and_are_logged(
    settings: Settings,
    channels: list[FakeChannel],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    autojump_clock: trio.testing.MockClock,
) -> None:
    def never_open(*_: object) -> NoReturn:
        raise FileNotFoundError(2, "No such file or directory", "ep1")

    async def always_enabled(_path: Path) -> trio.SocketStream:
        mine, other = trio.socket.socketpair()
        other.close()
        return trio.SocketStream(mine)

    monkeypatch.setattr(revival, "open_channels", never_open)
    monkeypatch.setattr(revival, "_wait_enabled", always_enabled)
    with trio.move_on_after(1 * 5 + 5 * 5 + 30 * 2 + 1):
        await revival.run_revival(settings, SERVICE, UIDS)
    pauses = [record.__dict__["pause_s"] for record in caplog.records]
    assert pauses == [1.0] * 5 + [5.0] * 5 + [30.0] * 3
    assert "FileNotFoundError" in caplog.records[0].__dict__["reasons"]
    assert channels[0].started == 0


async def test_cancelled_at_any_moment_it_leaves_no_socket(
    settings: Settings, channels: list[FakeChannel]
) -> None:
    registrar = FakeRegistrar(settings.enabled_socket)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(revival.run_revival, settings, SERVICE, UIDS)
        await registrar.accept()
        await wait_until_ready(settings)
        nursery.cancel_scope.cancel()
    assert not settings.ready_socket.exists()
    assert [channel.running for channel in channels] == [0, 0]
    await registrar.disable()
