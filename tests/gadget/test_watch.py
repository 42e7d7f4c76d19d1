"""What systemd is told: ready once, each new status line, and the watchdog only while all live."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import trio
from trio.testing import MockClock

from gadget.part import Part
from gadget.watch import Watch
from tests.notify_socket import NotifySocket

LIMIT_S = 60.0


@pytest.fixture
def systemd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[NotifySocket]:
    manager = NotifySocket(tmp_path / "notify")
    monkeypatch.setenv("NOTIFY_SOCKET", str(manager.path))
    monkeypatch.setenv("WATCHDOG_USEC", str(int(LIMIT_S * 1e6)))
    monkeypatch.delenv("WATCHDOG_PID", raising=False)
    yield manager
    manager.close()


class Board:
    """Two parts that beat while they are told to, and a status line."""

    def __init__(self) -> None:
        self.parts = [Part("usb"), Part("signature log")]
        self.beating = [True, True]
        self.status = "waiting for USB"

    async def run(self) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._beat)
            nursery.start_soon(Watch(self.parts, self._describe).run, Part("watch"))

    async def _beat(self) -> None:
        while True:
            for part, beats in zip(self.parts, self.beating, strict=True):
                if beats:
                    part.beat(1)
            await trio.sleep(1)

    def _describe(self) -> str:
        return self.status


@pytest.fixture
def board() -> Board:
    return Board()


async def count_feeds(systemd: NotifySocket, board: Board, *, for_s: float) -> int:
    """A notify socket holds ten messages, so they are read as they come."""
    feeds = 0
    async with trio.open_nursery() as nursery:
        nursery.start_soon(board.run)
        for _ in range(100):
            await trio.sleep(for_s / 100 + 0.0001)
            feeds += systemd.read_all().count("WATCHDOG=1")
        nursery.cancel_scope.cancel()
    return feeds


async def test_ready_comes_once_and_with_the_status(
    systemd: NotifySocket, board: Board, autojump_clock: MockClock
) -> None:
    with trio.move_on_after(300):
        await board.run()
    told = systemd.read_all()
    assert told[0] == "READY=1\nSTATUS=waiting for USB"
    assert not any("READY" in message for message in told[1:])


async def test_not_ready_before_every_part_has_begun(
    systemd: NotifySocket, board: Board, autojump_clock: MockClock
) -> None:
    board.beating[1] = False
    async with trio.open_nursery() as nursery:
        nursery.start_soon(board.run)
        await trio.sleep(100)
        assert systemd.read_all() == []
        board.beating[1] = True
        await trio.sleep(1.5)
        assert systemd.read_all()[0].startswith("READY=1")
        nursery.cancel_scope.cancel()


async def test_the_watchdog_is_fed_three_times_within_its_limit(
    systemd: NotifySocket, board: Board, autojump_clock: MockClock
) -> None:
    assert await count_feeds(systemd, board, for_s=10 * LIMIT_S) == 31


@pytest.mark.parametrize("victim", [0, 1])
async def test_one_late_part_starves_the_watchdog_and_its_return_feeds_it_again(
    systemd: NotifySocket,
    board: Board,
    victim: int,
    caplog: pytest.LogCaptureFixture,
    autojump_clock: MockClock,
) -> None:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(board.run)
        await trio.sleep(100)
        board.beating[victim] = False
        await trio.sleep(8)
        systemd.read_all()
        await trio.sleep(1000)
        assert systemd.read_all() == []
        board.beating[victim] = True
        await trio.sleep(2.5)
        assert systemd.read_all() == ["WATCHDOG=1"]
        nursery.cancel_scope.cancel()
    late, back = caplog.records
    assert late.message == "heartbeats are late"
    assert late.__dict__["parts"] == back.__dict__["parts"] == board.parts[victim].name


async def test_the_status_line_is_told_when_it_changes_and_only_then(
    systemd: NotifySocket, board: Board, autojump_clock: MockClock
) -> None:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(board.run)
        await trio.sleep(10)
        board.status = "serving; keys unlocked: 2 of 3"
        await trio.sleep(100)
        nursery.cancel_scope.cancel()
    told = [message for message in systemd.read_all() if "STATUS" in message]
    assert told[1:] == ["STATUS=serving; keys unlocked: 2 of 3"]


@pytest.mark.parametrize("spoil", ["NOTIFY_SOCKET", "WATCHDOG_USEC"])
async def test_without_systemd_or_its_watchdog_it_runs_all_the_same(
    systemd: NotifySocket,
    board: Board,
    spoil: str,
    monkeypatch: pytest.MonkeyPatch,
    autojump_clock: MockClock,
) -> None:
    monkeypatch.delenv(spoil)
    with trio.move_on_after(100):
        await board.run()
    assert "WATCHDOG=1" not in systemd.read_all()


async def test_a_short_limit_is_kept(
    systemd: NotifySocket, board: Board, monkeypatch: pytest.MonkeyPatch, autojump_clock: MockClock
) -> None:
    monkeypatch.setenv("WATCHDOG_USEC", "600000")
    assert 29 <= await count_feeds(systemd, board, for_s=6) <= 31


async def test_started_again_after_a_bug_it_is_not_ready_twice(
    systemd: NotifySocket, board: Board, autojump_clock: MockClock
) -> None:
    lines = ["later", "", "first"]

    def describe() -> str:
        line = lines.pop()
        if not line:
            raise RuntimeError
        return line

    watch = Watch(board.parts, describe)
    for part in board.parts:
        part.beat(100)
    with pytest.raises(RuntimeError):
        await watch.run(Part("watch"))
    with trio.move_on_after(0.5):
        await watch.run(Part("watch"))
    told = [message for message in systemd.read_all() if message != "WATCHDOG=1"]
    assert told == ["READY=1\nSTATUS=first", "STATUS=later"]
