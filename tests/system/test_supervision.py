"""The daemon as systemd sees it: ready, alive, stuck, and ended in time whatever it hangs in."""

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import trio

from broker.contract import INTERFACE_MANAGE, INTERFACE_SIGN
from broker.messages import PingRequest, PingResponse
from tests.notify_socket import NotifySocket
from tests.registrar.loop import wait_until
from tests.system.board import SystemBoard, open_host, open_system_board
from tests.system.broken_gadget import TRIGGER

PASSPHRASE = b"correct horse"
LIMIT_S = 1.5
PATIENCE_S = 20.0
START_S = 30.0


@pytest.fixture
def systemd(tmp_path: Path) -> Iterator[NotifySocket]:
    manager = NotifySocket(tmp_path / "notify")
    yield manager
    manager.close()


@pytest.fixture
def board(tmp_path: Path) -> Iterator[SystemBoard]:
    with open_system_board(tmp_path) as board:
        yield board


def start(board: SystemBoard, systemd: NotifySocket, *module: str) -> None:
    """Starts the daemon under a watchdog; returns when it has said READY=1."""
    board.start_gadget(
        *module,
        environment={
            "NOTIFY_SOCKET": str(systemd.path),
            "WATCHDOG_USEC": str(int(LIMIT_S * 1e6)),
        },
    )
    systemd.wait_for("READY=1", START_S)


def start_broken(board: SystemBoard, systemd: NotifySocket, fault: str) -> None:
    """Starts the daemon with a fault, on an enabled USB, and sees that the watchdog is fed."""
    start(board, systemd, "tests.system.broken_gadget", fault)
    board.enable()
    systemd.read_all()
    systemd.wait_for("WATCHDOG=1", PATIENCE_S)


async def break_it(board: SystemBoard) -> None:
    """Sets the fault off; there may be no answer."""
    with trio.move_on_after(1):
        async with open_host(board, INTERFACE_SIGN) as client:
            await client._ask(PingRequest(token=TRIGGER), PingResponse, repeatable=False)


def end(board: SystemBoard) -> tuple[int, float]:
    """Tells it to stop; returns the exit status and the seconds that it took."""
    begun_s = time.monotonic()
    return board.end_gadget(), time.monotonic() - begun_s


async def test_it_says_what_it_does_from_the_start_to_the_end(
    board: SystemBoard, systemd: NotifySocket
) -> None:
    start(board, systemd)  # ready without USB
    board.enable()
    systemd.wait_for("STATUS=serving; no keystore yet", PATIENCE_S)
    async with open_host(board, INTERFACE_MANAGE) as client:
        await client.init(PASSPHRASE, deterministic=False)
        await client.new(PASSPHRASE, "consensus", "tz4", "NetXdQprcVkpaWU")
        systemd.wait_for("STATUS=serving; keys unlocked: 0 of 1", PATIENCE_S)
        await client.unlock(PASSPHRASE)
        systemd.wait_for("STATUS=serving; keys unlocked: 1 of 1", PATIENCE_S)
    board.disable()
    systemd.wait_for("STATUS=waiting for USB; keys unlocked: 1 of 1", PATIENCE_S)
    assert end(board)[0] == 0
    systemd.wait_for("STOPPING=1", 1)


@pytest.mark.parametrize(
    "fault", ["loop-blocked", "worker-hangs", "timekeeper-hangs", "signature-log-hangs"]
)
async def test_what_hangs_starves_the_watchdog_and_still_stops_in_time(
    board: SystemBoard, systemd: NotifySocket, fault: str
) -> None:
    start_broken(board, systemd, fault)
    await break_it(board)
    systemd.wait_silent(2 * LIMIT_S, 2 * PATIENCE_S)
    status, took_s = end(board)
    assert status == -signal.SIGALRM
    assert 1.9 < took_s < 4


async def test_a_request_that_waits_for_ever_costs_a_session_and_no_key(
    board: SystemBoard, systemd: NotifySocket
) -> None:
    start_broken(board, systemd, "worker-waits")
    async with open_host(board, INTERFACE_MANAGE) as client:
        await client.init(PASSPHRASE, deterministic=False)
        await client.new(PASSPHRASE, "consensus", "tz4", "NetXdQprcVkpaWU")
        await client.unlock(PASSPHRASE)
    await break_it(board)
    wait_until(lambda: "PartStuckError" in board.log(), PATIENCE_S)
    wait_until(board.is_ready, PATIENCE_S)
    async with open_host(board, INTERFACE_SIGN) as client:
        (key,) = await client.status()
    assert key.lock_state == "unlocked"
    systemd.read_all()
    systemd.wait_for("WATCHDOG=1", PATIENCE_S)
    status, took_s = end(board)
    assert (status, took_s < 2) == (0, True)


async def test_a_clean_up_that_hangs_is_told_and_ends_all_the_same(
    board: SystemBoard, systemd: NotifySocket
) -> None:
    start_broken(board, systemd, "clean-up-hangs")
    status, took_s = end(board)
    assert status == -signal.SIGALRM
    assert 1.9 < took_s < 4
    assert "stop takes too long" in board.log()


async def test_an_idle_daemon_goes_on_feeding(board: SystemBoard, systemd: NotifySocket) -> None:
    """Sessions, workers and timekeepers that have nothing to do are alive all the same."""
    start_broken(board, systemd, "clean-up-hangs")
    for _ in range(12):
        systemd.wait_for("WATCHDOG=1", PATIENCE_S)
    assert "late" not in board.log()


async def test_a_stopped_process_that_goes_on_is_alive_again(
    board: SystemBoard, systemd: NotifySocket
) -> None:
    start_broken(board, systemd, "clean-up-hangs")
    assert board.gadget is not None
    os.kill(board.gadget.pid, signal.SIGSTOP)
    systemd.wait_silent(2 * LIMIT_S, 2 * PATIENCE_S)
    os.kill(board.gadget.pid, signal.SIGCONT)
    systemd.wait_for("WATCHDOG=1", PATIENCE_S)
    async with open_host(board, INTERFACE_SIGN) as client:
        await client.ping()
    assert "PartStuckError" not in board.log()
