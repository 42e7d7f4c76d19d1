"""What one start of the signer knows of how the last one ended."""

from contextlib import suppress
from pathlib import Path

import pytest

from gadget.health.clock import BoardClock
from gadget.health.crash_log import CrashLog


class Board:
    """Two folders and a clock; each `start` is a new process."""

    def __init__(self, folder: Path) -> None:
        self.run = folder / "run"
        self.data = folder / "data"
        self.now_s = 100.0
        self.boot = 1
        for made in (self.run, self.data):
            made.mkdir()

    def start(self, *, enabled: bool = True) -> CrashLog:
        clock = BoardClock(now_s=lambda: self.now_s, boot_id=f"boot{self.boot}")
        log = CrashLog(
            self.data / "health", self.run, clock, version="1", keep_days=7, enabled=enabled
        )
        log.begin()
        log.open_history()
        return log

    def cut_power(self) -> None:
        for file in self.run.iterdir():
            file.unlink()
        self.boot += 1
        self.now_s = 5.0

    def history(self) -> bytes:
        return (self.data / "health" / "crashes").read_bytes()


@pytest.fixture
def board(tmp_path: Path) -> Board:
    return Board(tmp_path)


def fail(log: CrashLog) -> None:
    try:
        dict[str, int]()["secret"]
    except KeyError as error:
        log.note_exception(error)
        raise


def reasons(log: CrashLog) -> list[str]:
    return [record.reason for record in log.records]


async def test_a_stop_that_was_asked_for_is_no_crash(board: Board) -> None:
    log = board.start()
    await log.flush()
    log.note_stopping()
    log.end()
    board.cut_power()  # the board was shut down after it
    assert reasons(board.start()) == []


async def test_a_kill_is_noted_and_counted(board: Board) -> None:
    await board.start().flush()
    log = board.start()
    assert reasons(log) == ["killed: by SIGKILL, or for want of memory"]
    assert (log.restart_count, log.restarts_last_hour(), log.count_last_day()) == (1, 1, 1)


async def test_a_power_cut_is_noted(board: Board) -> None:
    await board.start().flush()
    board.cut_power()
    log = board.start()
    assert reasons(log) == ["the board lost power, or was reset"]
    assert log.restart_count == 0


async def test_a_stop_that_took_too_long_is_noted(board: Board) -> None:
    board.start().note_stopping()
    assert reasons(board.start()) == ["a stop took too long"]


async def test_a_fatal_signal_is_noted_with_its_stack(board: Board) -> None:
    board.start()
    (board.run / "health.fatal").write_text(
        "Fatal Python error: Aborted\n\nCurrent thread 0x1 (most recent call first):\n"
        '  File "/x/gadget/ready.py", line 9 in judge\n'
    )
    (record,) = board.start().records
    assert record.reason == "aborted: by systemd's watchdog, or by a library"
    assert record.trace == ("gadget/ready.py:9 judge",)


async def test_an_exception_is_noted_by_class_and_place_never_by_its_text(board: Board) -> None:
    log = board.start()
    with suppress(KeyError):
        fail(log)
    (record,) = log.records
    assert record.reason == "ended by KeyError"
    assert record.trace[0].endswith(" fail")
    assert b"secret" not in (board.run / "health.state").read_bytes()


async def test_a_crash_loop_costs_the_card_one_write_a_minute(board: Board) -> None:
    writes = 0
    before = b""
    for _ in range(120):
        board.now_s += 1
        log = board.start()
        await log.flush()
        writes += board.history() != before
        before = board.history()
    assert writes <= 3
    assert log.restarts_last_hour() > 5
    board.now_s += 60
    await log.flush()
    assert len(log.records) == 16
    board.cut_power()
    assert reasons(board.start())[-1] == "the board lost power, or was reset"


async def test_restarts_of_an_hour_ago_are_not_in_the_last_hour(board: Board) -> None:
    for _ in range(4):
        log = board.start()
        log.end()
    assert log.restarts_last_hour() == 3
    board.now_s += 3601
    assert (log.restarts_last_hour(), log.restart_count) == (0, 3)


async def test_nothing_new_is_not_written_again(board: Board) -> None:
    log = board.start()
    await log.flush()
    (board.data / "health" / "crashes").unlink()
    board.now_s += 1000
    await log.flush()
    assert not (board.data / "health" / "crashes").exists()


async def test_switched_off_it_counts_starts_and_records_nothing(board: Board) -> None:
    board.start(enabled=False)
    log = board.start(enabled=False)
    await log.flush()
    log.end()
    assert log.restart_count == 1
    assert reasons(log) == []
    assert list(board.data.iterdir()) == []


@pytest.mark.parametrize("junk", [b"", b"junk", b"\xff" * 20_000])
async def test_spoilt_files_cost_the_record_and_not_the_start(board: Board, junk: bytes) -> None:
    log = board.start()
    log.end()
    (board.data / "health" / "crashes").write_bytes(junk)
    (board.run / "health.state").write_bytes(junk)
    assert reasons(board.start()) == []


async def test_without_any_folder_it_starts_all_the_same(tmp_path: Path) -> None:
    clock = BoardClock(now_s=lambda: 1.0, boot_id="b")
    log = CrashLog(
        tmp_path / "no" / "health", tmp_path / "none", clock, version="1", keep_days=7, enabled=True
    )
    log.begin()
    log.open_history()
    log.note("something")
    await log.flush()
    log.end()
    assert reasons(log) == ["something"]
