"""A board with a memory beside it: rolled back, raised again, asked twice, restarted, cancelled."""

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from broker.messages import ErrorCode, KeyStatus, MarksStatus, MarkStatus
from host import witnessed_board
from host.errors import DeviceGone, HostError, Refused, WitnessDamaged, WitnessRefusal
from host.witness import Witness
from host.witness_file import Marks, WitnessFile
from host.witnessed_board import WitnessedBoard, open_witness
from tests.host.fake_board import describe, make_signer
from tests.payloads import attestation
from tezos.keys import KeyType

SIGNER = make_signer(KeyType.TZ4)
PKH = SIGNER.public_key.address
OTHER_HASH = b"\x55" * 32


class Board:
    """Signs anything, and keeps the highest attestation as a board does."""

    def __init__(self) -> None:
        self.level: int | None = None
        self.session = 1
        self.is_locked = False
        self.signed: list[bytes] = []
        self.statuses = 0
        self.failure: HostError | None = None
        self.hold_status: trio.Event | None = None
        self.hold_sign: trio.Event | None = None
        self.problem: HostError | None = None

    async def wait_up(self, after: int = 0) -> int:  # noqa: ARG002 - the protocol
        return self.session

    async def status(self) -> tuple[KeyStatus, ...]:
        self.statuses += 1
        mark = None if self.level is None else MarkStatus(level=self.level, round=0)
        marks = MarksStatus(block=None, preattestation=None, attestation=mark)
        answer = describe(
            "key",
            SIGNER,
            marks=None if self.is_locked else marks,
            lock_state="locked" if self.is_locked else "unlocked",
        )
        await trio.lowlevel.checkpoint()
        if self.hold_status is not None:
            await self.hold_status.wait()
        return (answer,)

    async def sign(self, pkh: str, payload: bytes) -> bytes:  # noqa: ARG002 - the protocol
        await trio.lowlevel.checkpoint()
        if self.failure is not None:
            raise self.failure
        if self.hold_sign is not None:
            await self.hold_sign.wait()
        self.signed.append(payload)
        self.level = int.from_bytes(payload[38:42], "big")
        return payload[:1] * 96

    async def prove_possession(self, _pkh: str, _public_key: bytes) -> bytes:
        await trio.lowlevel.checkpoint()
        return b"proof"


def vote(level: int, payload_hash: bytes = bytes(32)) -> bytes:
    return attestation("tz4", level, 0, payload_hash=payload_hash)


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> "MemoryFile":
    return MemoryFile()


class MemoryFile(WitnessFile):
    """A disk without threads, which no mock clock would see."""

    def __init__(self) -> None:
        super().__init__(Path("witness.json"))
        self.marks: Marks = {}
        self.writes = 0
        self.error: Exception | None = None

    def load(self) -> Marks:
        return dict(self.marks)

    def merge(self, marks: Marks) -> Marks:
        if self.error is not None:
            raise self.error
        witness = Witness(self.marks)
        witness.see_all(marks)
        self.marks = witness.marks()
        self.writes += 1
        return self.marks


@pytest.fixture(autouse=True)
def no_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    async def run_here(function: object, *arguments: object, abandon_on_cancel: bool) -> object:
        await trio.lowlevel.checkpoint()
        return function(*arguments)  # type: ignore[operator]

    monkeypatch.setattr(witnessed_board, "run_in_thread", run_here)


@asynccontextmanager
async def running(board: Board, file: MemoryFile) -> AsyncIterator[WitnessedBoard]:
    witnessed = open_witness(board, file)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(witnessed.run)
        yield witnessed
        nursery.cancel_scope.cancel()


def levels(file: MemoryFile) -> list[int]:
    return [mark.level for mark in file.marks.values()]


def events(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [r.getMessage() for r in caplog.records if r.levelno >= logging.WARNING]


async def test_signatures_are_written_down_within_a_second_and_not_one_by_one(
    file: MemoryFile, autojump_clock: MockClock
) -> None:
    async with running(Board(), file) as board:
        for level in range(100, 200):
            assert await board.sign(PKH, vote(level)) == b"\x13" * 96
        await trio.sleep(1.1)
        assert levels(file) == [199]
        assert file.writes <= 3
        await trio.sleep(3600)
        assert file.writes <= 3


async def test_last_signatures_are_written_at_the_end(
    file: MemoryFile, autojump_clock: MockClock
) -> None:
    async with running(Board(), file) as board:
        await board.sign(PKH, vote(100))
        await trio.sleep(1.5)
        await board.sign(PKH, vote(101))
        await board.sign(PKH, vote(102))
    assert levels(file) == [102]


async def test_board_that_was_rolled_back_signs_nothing_until_its_marks_are_raised(
    file: MemoryFile, autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    async with running(Board(), file) as board:
        await board.sign(PKH, vote(100))
    rolled_back = Board()
    rolled_back.level = 90
    async with running(rolled_back, file) as board:
        for level in (91, 100, 101, 500):
            with pytest.raises(WitnessRefusal, match="rolled back"):
                await board.sign(PKH, vote(level))
        assert rolled_back.signed == []
        assert events(caplog) == ["the board was rolled back"]
        rolled_back.level = 100  # set-level
        with pytest.raises(WitnessRefusal):
            await board.sign(PKH, vote(100, OTHER_HASH))
        await board.sign(PKH, vote(101))
    assert [payload[38:42] for payload in rolled_back.signed] == [(101).to_bytes(4, "big")]
    assert events(caplog)[1:] == ["the marks were raised: the key is used again"]


async def test_rollback_in_a_session_is_found_by_the_next_look(
    file: MemoryFile, autojump_clock: MockClock
) -> None:
    inner = Board()
    async with running(inner, file) as board:
        await board.sign(PKH, vote(100))
        inner.level = 50
        await board.status()
        with pytest.raises(WitnessRefusal, match="rolled back"):
            await board.sign(PKH, vote(101))


async def test_each_session_is_compared_once_before_the_first_signature(
    file: MemoryFile, autojump_clock: MockClock
) -> None:
    inner = Board()
    async with running(inner, file) as board:
        for session in (1, 2, 3):
            inner.session = session
            for level in (session * 10, session * 10 + 1):
                await board.sign(PKH, vote(level))
            assert inner.statuses == session
        inner.session, inner.level = 4, 5
        with pytest.raises(WitnessRefusal):
            await board.sign(PKH, vote(100))


async def test_key_that_was_locked_is_compared_once_it_is_not(
    file: MemoryFile, autojump_clock: MockClock
) -> None:
    inner = Board()
    async with running(inner, file) as board:
        await board.sign(PKH, vote(100))
        inner.is_locked = True
        await board.status()
        inner.failure = Refused(ErrorCode.KEY_LOCKED, "locked")
        with pytest.raises(Refused):
            await board.sign(PKH, vote(101))
        inner.is_locked, inner.failure, inner.level = False, None, 99
        with pytest.raises(WitnessRefusal):
            await board.sign(PKH, vote(101))


async def test_same_payload_is_asked_again_and_another_one_is_not(
    file: MemoryFile, autojump_clock: MockClock
) -> None:
    inner = Board()
    async with running(inner, file) as board:
        first = await board.sign(PKH, vote(100))
        assert await board.sign(PKH, vote(100)) == first
        for refused in (vote(100, OTHER_HASH), vote(99)):
            with pytest.raises(WitnessRefusal, match="level 100 round 0"):
                await board.sign(PKH, refused)
        assert len(inner.signed) == 2


async def test_report_that_is_older_than_a_signature_is_no_rollback(
    file: MemoryFile, autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    inner = Board()
    async with running(inner, file) as board, trio.open_nursery() as nursery:
        await board.sign(PKH, vote(100))
        inner.hold_status = trio.Event()
        nursery.start_soon(board.status)
        await wait_all_tasks_blocked()
        await board.sign(PKH, vote(101))
        inner.hold_status.set()
        await wait_all_tasks_blocked()
        inner.hold_status = None
        await board.sign(PKH, vote(102))
    assert events(caplog) == []


async def test_refused_or_lost_or_cancelled_request_is_not_taken_for_signed(
    file: MemoryFile, autojump_clock: MockClock
) -> None:
    inner = Board()
    async with running(inner, file) as board:
        for failure in (Refused(ErrorCode.KEY_LOCKED, "locked"), DeviceGone("gone")):
            inner.failure = failure
            with pytest.raises(type(failure)):
                await board.sign(PKH, vote(100))
        inner.failure = None
        inner.hold_sign = trio.Event()
        with trio.move_on_after(1) as scope:
            await board.sign(PKH, vote(100))
        assert scope.cancelled_caught
        inner.hold_sign = None
        await board.sign(PKH, vote(100, OTHER_HASH))


async def test_what_is_no_consensus_payload_is_the_boards_to_refuse(
    file: MemoryFile, autojump_clock: MockClock
) -> None:
    inner = Board()
    async with running(inner, file) as board:
        for payload in (b"", b"\x03junk", attestation("tz1", 5, 0)):
            inner.failure = Refused(ErrorCode.BAD_PAYLOAD, "bad")
            with pytest.raises(Refused):
                await board.sign(PKH, payload)
    assert file.marks == {}


@pytest.mark.parametrize("error", [OSError(28, "no space"), WitnessDamaged("changed")])
async def test_disk_that_fails_costs_no_signature_and_is_told_once(
    error: Exception, file: MemoryFile, autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    async with running(Board(), file) as board:
        await trio.sleep(1)
        file.error = error
        for level in range(100, 110):
            await board.sign(PKH, vote(level))
            await trio.sleep(2)
        assert events(caplog) == ["the witness can't be written"]
        file.error = None
        await trio.sleep(2)
        assert levels(file) == [109]


async def test_place_that_cannot_be_written_is_told_at_the_start(
    file: MemoryFile, autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    file.error = OSError(30, "read-only file system")
    async with running(Board(), file):
        await trio.sleep(1)
    assert events(caplog) == ["the witness can't be written"]


async def test_what_another_signer_wrote_counts(
    file: MemoryFile, autojump_clock: MockClock
) -> None:
    inner = Board()
    async with running(inner, file) as board:
        await board.sign(PKH, vote(100))
        await trio.sleep(2)
        (place,) = file.marks
        other = Witness(file.marks)
        other.see(place, other.marks()[place].__class__(level=200, round=0))
        file.marks = other.marks()
        await board.sign(PKH, vote(101))
        await trio.sleep(2)
        with pytest.raises(WitnessRefusal, match="level 200"):
            await board.sign(PKH, vote(102))
        assert levels(file) == [200]


async def test_proof_needs_no_witness(file: MemoryFile, autojump_clock: MockClock) -> None:
    async with running(Board(), file) as board:
        assert await board.prove_possession(PKH, b"") == b"proof"
    assert file.marks == {}
