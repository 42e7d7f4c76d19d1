"""Keys are unlocked once after each start of the board, and a wrong passphrase is tried once."""

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest
import trio
from trio.testing import MockClock

from broker.messages import ErrorCode, KeyOutcome, KeyStatus
from host.auto_unlock import AutoUnlock
from host.errors import DeviceBusy, DeviceGone, HostError, Refused, UsageError
from tests.host.fake_board import describe, make_signer
from tezos.keys import KeyType

RIGHT = b"correct horse"


class Board:
    """Two keys and a passphrase; counts each try as a board does."""

    def __init__(self) -> None:
        self.keys = {f"key{n}": describe(f"key{n}", make_signer(KeyType.TZ1, n)) for n in (0, 1)}
        self.start_id = b""
        self.starts = 0
        self.tries = 0
        self.passphrase = RIGHT
        self.link_error: HostError | None = None
        self.management_error: HostError | None = None
        self.unlock_error: HostError | None = None
        self.refuse: frozenset[str] = frozenset()
        self.holds = False
        self.restart()

    def restart(self) -> None:
        self.starts += 1
        self.start_id = self.starts.to_bytes(16, "little")
        self.lock()

    def lock(self) -> None:
        self.keys = {n: replace(key, lock_state="locked") for n, key in self.keys.items()}

    def unlocked(self) -> list[str]:
        return [name for name, key in self.keys.items() if key.lock_state == "unlocked"]

    async def wait_up(self) -> int:
        await trio.lowlevel.checkpoint()
        return 1

    async def ask_start_id(self) -> bytes:
        await trio.lowlevel.checkpoint()
        if self.link_error is not None:
            raise self.link_error
        return self.start_id

    @asynccontextmanager
    async def open_management(self) -> AsyncIterator["Board"]:
        await trio.lowlevel.checkpoint()
        if self.management_error is not None:
            raise self.management_error
        yield self

    async def ping(self) -> bytes:
        return await self.ask_start_id()

    async def status(self) -> tuple[KeyStatus, ...]:
        await trio.lowlevel.checkpoint()
        return tuple(self.keys.values())

    async def unlock(self, passphrase: bytes, ids: tuple[str, ...] = ()) -> tuple[KeyOutcome, ...]:
        self.tries += 1
        await trio.sleep(1)  # as long as a key derivation
        if self.holds:
            await trio.sleep_forever()
        if self.unlock_error is not None:
            raise self.unlock_error
        if passphrase != self.passphrase:
            raise Refused(ErrorCode.UNLOCK_BAD_PASSPHRASE, "this is not the passphrase")
        for name in set(ids) - self.refuse:
            self.keys[name] = replace(self.keys[name], lock_state="unlocked")
        return tuple(
            KeyOutcome(id=name, code=35 * (name in self.refuse), message="") for name in ids
        )


class Passphrase:
    """A passphrase that a person may correct."""

    source = "the test"

    def __init__(self, text: bytes = RIGHT, *, is_open_to_others: bool = False) -> None:
        self.text: bytes | None = text
        self.is_open_to_others = is_open_to_others

    async def read(self) -> bytes:
        await trio.lowlevel.checkpoint()
        if self.text is None:
            raise UsageError("cannot read the passphrase file")
        return self.text


@asynccontextmanager
async def unlocking(
    board: Board, passphrase: Passphrase | None = None, *ids: str
) -> AsyncIterator[None]:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(AutoUnlock(board, passphrase or Passphrase(), ids).run)
        yield
        nursery.cancel_scope.cancel()


def errors(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [r.getMessage() for r in caplog.records if r.levelno >= logging.WARNING]


async def test_keys_are_unlocked_within_5_s_of_each_start(autojump_clock: MockClock) -> None:
    board = Board()
    async with unlocking(board):
        for start in (1, 2, 3):
            await trio.sleep(5)
            assert board.unlocked() == ["key0", "key1"]
            assert board.tries == start
            await trio.sleep(100)
            assert board.tries == start
            board.restart()


async def test_keys_that_a_person_locks_stay_locked_until_the_next_start(
    autojump_clock: MockClock,
) -> None:
    board = Board()
    async with unlocking(board):
        await trio.sleep(5)
        board.lock()
        await trio.sleep(100)
        assert board.unlocked() == []
        board.restart()
        await trio.sleep(5)
        assert board.unlocked() == ["key0", "key1"]


async def test_only_the_named_keys_are_unlocked_and_an_unknown_name_is_told(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    board = Board()
    async with unlocking(board, None, "key1", "nobody"):
        await trio.sleep(10)
    assert board.unlocked() == ["key1"]
    assert errors(caplog) == ["keys to unlock are not on the board"]


async def test_board_whose_keys_are_unlocked_already_is_not_asked(
    autojump_clock: MockClock,
) -> None:
    board = Board()
    await board.unlock(RIGHT, ("key0", "key1"))
    async with unlocking(board):
        await trio.sleep(100)
    assert board.tries == 1


async def test_wrong_passphrase_is_tried_once_until_a_person_corrects_it(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    board = Board()
    passphrase = Passphrase(b"wrong")
    async with unlocking(board, passphrase):
        await trio.sleep(100)
        assert board.tries == 1
        board.restart()
        await trio.sleep(100)
        assert board.tries == 1
        assert errors(caplog) == ["keys stay locked"] * 2  # once for each start
        passphrase.text = RIGHT
        await trio.sleep(5)
        assert board.tries == 2
        assert board.unlocked() == ["key0", "key1"]
    for record in caplog.records:
        assert "wrong" not in record.__dict__.get("reason", "")


async def test_throttled_board_is_left_alone_for_its_window(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    board = Board()
    board.unlock_error = Refused(ErrorCode.UNLOCK_THROTTLED, "too many tries")
    async with unlocking(board):
        await trio.sleep(29)
        assert board.tries == 1
        board.unlock_error = None
        await trio.sleep(10)
        assert board.unlocked() == ["key0", "key1"]
    assert errors(caplog) == ["the board did not unlock its keys"]


async def test_missing_file_is_told_once_and_read_when_it_is_there(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    board = Board()
    passphrase = Passphrase()
    passphrase.text = None
    async with unlocking(board, passphrase):
        await trio.sleep(60)
        assert board.tries == 0
        assert errors(caplog) == ["the passphrase can't be read"]
        passphrase.text = RIGHT
        await trio.sleep(5)
    assert board.unlocked() == ["key0", "key1"]


@pytest.mark.parametrize("place", ["link_error", "management_error", "unlock_error"])
async def test_link_that_is_away_for_a_moment_costs_a_moment(
    place: str, autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    board = Board()
    error = DeviceBusy("a command has it") if place == "management_error" else DeviceGone("gone")
    setattr(board, place, error)
    async with unlocking(board):
        await trio.sleep(9)
        assert errors(caplog) == []
        await trio.sleep(60)
        assert errors(caplog) == ["keys are not unlocked yet"]
        assert board.unlocked() == []
        setattr(board, place, None)
        await trio.sleep(4)
        assert board.unlocked() == ["key0", "key1"]


async def test_key_that_does_not_unlock_is_told_and_keeps_no_other_from_it(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    board = Board()
    board.refuse = frozenset({"key0"})
    async with unlocking(board):
        await trio.sleep(100)
    assert (board.unlocked(), board.tries) == (["key1"], 1)
    assert errors(caplog) == ["key not unlocked"]


async def test_board_that_hangs_in_unlock_is_asked_again(autojump_clock: MockClock) -> None:
    board = Board()
    board.holds = True
    async with unlocking(board):
        await trio.sleep(20)
        board.holds = False
        await trio.sleep(80)
        assert board.unlocked() == ["key0", "key1"]
        assert board.tries == 2


async def test_file_that_others_may_read_is_told(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    async with unlocking(Board(), Passphrase(is_open_to_others=True)):
        await trio.sleep(10)
    assert errors(caplog) == ["other accounts of this machine may read the passphrase"]
