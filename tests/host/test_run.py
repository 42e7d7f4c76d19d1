"""What `run` does when its board comes, goes and changes; without a cable and without waiting."""

import logging
import os
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trio
import trio.testing

from host import cli, key_watch
from host import serving as flow
from host.errors import BadAnswer, DeviceGone, ExitStatus, Refused
from host.session import SessionCounters
from host.settings import ListenAddress, RunSettings
from host.witness_file import default_place
from tests.host.fake_board import FakeBoard, make_signer
from tests.host.fake_cable import FakeCable
from tezos.keys import KeyType


class Session:
    """Comes up when told to; see `host.session.PersistentSession`."""

    def __init__(self, board: FakeBoard) -> None:
        self.client = board
        self.problem = None
        self.serial = "a1"
        self._number = 0
        self._changed = trio.Event()

    async def run(self) -> None:
        await trio.sleep_forever()

    async def wait_up(self, after: int = 0) -> int:
        while self._number <= after:
            await self._changed.wait()
        return self._number

    async def wait_turn(self) -> None:
        await trio.sleep(1)

    def counters(self) -> SessionCounters:
        return SessionCounters(opened=self._number)

    async def come_up(self) -> None:
        """Returns when all that follows from it has been done."""
        self._number += 1
        self._changed.set()
        self._changed = trio.Event()
        await trio.testing.wait_all_tasks_blocked()


@pytest.fixture
def cable(monkeypatch: pytest.MonkeyPatch) -> FakeCable:
    cable = FakeCable("a1")
    cable.install(monkeypatch.setattr)
    return cable


@pytest.fixture
def logged(caplog: pytest.LogCaptureFixture) -> Callable[[], list[dict[str, Any]]]:
    """Returns the records of this command since the last call."""
    caplog.set_level(logging.INFO)

    def take() -> list[dict[str, Any]]:
        records = [r.__dict__ for r in caplog.records if r.name == key_watch.__name__]
        caplog.clear()
        return records

    return take


@asynccontextmanager
async def serving(
    cable: FakeCable, patch: pytest.MonkeyPatch, *aliases: str
) -> AsyncIterator[Session]:
    session = Session(cable.board)
    patch.setattr(flow, "PersistentSession", lambda _serial, _interface: session)
    settings = RunSettings(
        listen=ListenAddress(host="127.0.0.1", port=0),
        witness_file=default_place(),
        aliases=aliases,
    )
    ended: list[int] = []

    async def serve() -> None:
        ended.append(await flow.serve(settings, None, None))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(serve)
        await _wait_threads()
        yield session
        os.kill(os.getpid(), signal.SIGTERM)
    assert ended == [ExitStatus.DONE]


async def _wait_threads() -> None:
    """The search for a board runs in a thread, which no clock of a test sees."""
    await trio.to_thread.run_sync(lambda: None)
    await trio.testing.wait_all_tasks_blocked(0.05)


async def test_the_keys_are_told_at_the_start_and_at_each_return(
    cable: FakeCable,
    monkeypatch: pytest.MonkeyPatch,
    logged: Callable[[], list[dict[str, Any]]],
) -> None:
    async with serving(cable, monkeypatch) as session:
        assert logged() == []
        await session.come_up()
        (first,) = logged()
        assert first["message"] == "listening"
        key0, key1 = (key.address for key in cable.board.keys)
        assert first["keys"] == f"key0:{key0} key1:{key1}"
        cable.board.signers["new"] = make_signer(KeyType.TZ4, 9)
        await session.come_up()
        (again,) = logged()
        assert again["message"] == "the board is back"
        assert "new:tz4" in again["keys"]


async def test_a_key_that_is_gone_later_does_not_end_it(
    cable: FakeCable,
    monkeypatch: pytest.MonkeyPatch,
    logged: Callable[[], list[dict[str, Any]]],
) -> None:
    async with serving(cable, monkeypatch, "key0", "key1") as session:
        await session.come_up()
        logged()
        del cable.board.signers["key0"]
        await session.come_up()
        gone, back = logged()
        assert (gone["levelname"], gone["keys"]) == ("ERROR", "key0")
        assert back["keys"].startswith("key1:")


async def test_a_name_that_is_unknown_at_the_start_ends_it(
    cable: FakeCable, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(BaseExceptionGroup) as caught:
        async with serving(cable, monkeypatch, "nobody", "key0") as session:
            await session.come_up()
    cause = cli._find_cause(caught.value)
    assert isinstance(cause, Refused)
    assert "nobody; its keys: key0, key1" in cause.message


async def test_a_list_that_fails_is_asked_for_again(
    cable: FakeCable,
    monkeypatch: pytest.MonkeyPatch,
    logged: Callable[[], list[dict[str, Any]]],
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with serving(cable, monkeypatch) as session:
        cable.board.failure = BadAnswer("junk")
        await session.come_up()
        assert [record["reason"] for record in logged()] == ["junk"]
        cable.board.failure = DeviceGone("gone")
        await trio.sleep(60)
        assert logged() == []
        cable.board.failure = None
        await trio.sleep(20)
        assert [record["message"] for record in logged()] == ["listening"]


async def test_sessions_are_counted_each_hour(
    cable: FakeCable,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    autojump_clock: trio.testing.MockClock,
) -> None:
    caplog.set_level(logging.INFO)

    def hourly() -> list[int]:
        told = [r for r in caplog.records if r.getMessage() == "sessions in the last hour"]
        caplog.clear()
        return [record.__dict__["opened"] for record in told]

    async with serving(cable, monkeypatch) as session:
        await session.come_up()
        await session.come_up()
        await trio.sleep(3700)
        assert sum(hourly()) == 2
        await session.come_up()
        await trio.sleep(7300)
        assert sum(hourly()) == 1
