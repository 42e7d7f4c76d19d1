"""Each fault that the field reports is in the report of a whole daemon after one interval.

The rows of tests/gadget/health/test_monitor.py again, with nothing pretended: real memory, files,
processes and marks, read over the daemon's own socket. A full disk is tests/kernel/test_host_run's.
"""

import re
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from broker.contract import INTERFACE_MANAGE, INTERFACE_SIGN
from broker.messages import PingRequest, PingResponse
from host.errors import Refused
from registrar.events import EventType
from tests.health_socket import read_health, wait_alerts, wait_health
from tests.payloads import attestation
from tests.registrar.loop import wait_until
from tests.system.ailing_gadget import (
    FILES_LIMIT,
    HANG_FOR_GOOD,
    HANG_ONCE,
    LEAK_FILES,
    LEAK_MEMORY,
    MEND,
)
from tests.system.board import SystemBoard, open_host, open_system_board

PASSPHRASE = b"correct horse"
CHAIN = "NetXdQprcVkpaWU"
ATTEMPTS = 2
INTERVAL_S = 1
# For three looks, which growth takes to be told, on a busy machine; the usual interval is longer.
PATIENCE_S = 20.0
LONG_S = 4.0  # within which a task is started again where that is allowed
UNIT = Path(__file__).parents[2] / "builder/assets/tezsign.service"
SETTINGS = f"""
[software_health]
health_check_interval = {INTERVAL_S}
max_restart_attempts = {ATTEMPTS}
"""


@pytest.fixture
def board(tmp_path: Path) -> Iterator[SystemBoard]:
    with open_system_board(tmp_path) as board:
        board.data.mkdir(mode=0o700)
        (board.data / "tezsign.toml").write_text(SETTINGS)
        start(board)
        board.enable()
        yield board


def start(board: SystemBoard) -> None:
    board.start_gadget("tests.system.ailing_gadget")


async def make_keys(board: SystemBoard) -> tuple[str, str]:
    """Returns the addresses of two unlocked keys."""
    async with open_host(board, INTERFACE_MANAGE) as client:
        await client.init(PASSPHRASE, deterministic=False)
        for key_id in ("companion", "consensus"):
            await client.new(PASSPHRASE, key_id, "tz4", CHAIN)
        await client.unlock(PASSPHRASE)
        first, second = await client.status()
    return first.pkh, second.pkh


async def sign(board: SystemBoard, pkh: str, level: int) -> None:
    async with open_host(board, INTERFACE_SIGN) as client:
        await client.sign(pkh, attestation("tz4", level, 0))


async def ail(board: SystemBoard, ailment: bytes) -> None:
    async with open_host(board, INTERFACE_SIGN) as client:
        await client._ask(PingRequest(token=ailment), PingResponse, repeatable=False)


def wait_told(board: SystemBoard, *codes: str) -> Any:
    return wait_alerts(board.health_socket, *codes, patience_s=PATIENCE_S)


async def test_keys_marks_and_passphrases(board: SystemBoard) -> None:
    wait_told(board, "no_keys")
    first, _ = await make_keys(board)
    wait_told(board)

    async with open_host(board, INTERFACE_MANAGE) as client:
        await client.lock(("companion",))
        wait_told(board, "key_locked")
        await client.lock(())
        wait_told(board, "keys_locked")
        await client.unlock(PASSPHRASE)
    wait_told(board)

    await sign(board, first, 100)
    file = board.data / "marks" / f"{first}.1"
    file.write_bytes(file.read_bytes()[:100])
    report = wait_told(board, "marks_damaged")
    assert report["status"] == "critical"
    assert report["checks"]["watermarks_ok"] is False
    await sign(board, first, 101)  # which replaces both files
    wait_told(board)

    async with open_host(board, INTERFACE_MANAGE) as client:
        for _ in range(6):
            with pytest.raises(Refused):
                await client.unlock(b"wrong")
    wait_told(board, "passphrase_throttled", "passphrase_wrong")


async def test_a_usb_that_nobody_enables(board: SystemBoard) -> None:
    await make_keys(board)
    wait_told(board)
    board.ep0.push(EventType.SUSPEND)
    wait_health(board.health_socket, lambda report: bool(report["usb"]["suspends"] == 1))
    board.ep0.push(EventType.RESUME)
    board.disable()
    report = wait_told(board, "usb_down")
    assert (report["status"], report["checks"]["usb_ok"]) == ("critical", False)
    wait_health(board.health_socket, is_waiting)
    board.enable()
    usb = wait_told(board)["usb"]
    assert (usb["enables"], usb["disables"], usb["suspends"]) == (2, 1, 1)
    assert usb["sessions_last_hour"] == 2


def is_waiting(report: Any) -> bool:
    return bool(report["usb"]["state"] == "waiting for USB")


async def test_memory_and_files_that_leak(board: SystemBoard) -> None:
    await make_keys(board)
    wait_told(board)
    before = read_health(board.health_socket)["software_health"]
    await ail(board, LEAK_MEMORY)
    memory = wait_told(board, "memory_growth")["software_health"]["memory"]
    assert memory["leak_suspected"] is True
    assert memory["heap_bytes"] > before["memory"]["heap_bytes"] + (60 << 20)
    await ail(board, MEND)
    wait_told(board)

    await ail(board, LEAK_FILES)
    files = wait_told(board, "descriptors_growth")["software_health"]["file_descriptors"]
    assert files["max"] == FILES_LIMIT
    assert 100 < files["leaked"] <= files["open"]
    await ail(board, LEAK_FILES)
    wait_told(board, "descriptors_growth", "descriptors_half")
    await ail(board, MEND)
    wait_told(board)


async def test_a_task_that_hangs_once_is_told_and_started_again(board: SystemBoard) -> None:
    first, _ = await make_keys(board)
    wait_told(board)
    await ail(board, HANG_ONCE)
    report = wait_told(board, "task_stuck")
    assert report["software_health"]["recoveries"]["stuck_tasks_restarted"] == 1
    await sign(board, first, 100)
    wait_until(lambda: "level=100" in board.log(), PATIENCE_S)  # by the task that had hung


async def test_a_task_that_hangs_is_told_where_nothing_may_start_it_again(
    board: SystemBoard,
) -> None:
    board.end_gadget()
    (board.data / "tezsign.toml").write_text(f"{SETTINGS}task_monitoring = false\n")
    start(board)
    wait_until(board.is_ready, PATIENCE_S)
    await ail(board, HANG_ONCE)
    report = wait_told(board, "no_keys", "task_late")
    assert (report["status"], report["checks"]["tasks_responsive"]) == ("critical", False)

    def is_long_late(report: Any) -> bool:
        (log,) = (t for t in report["software_health"]["tasks"] if t["name"] == "signature log")
        return bool(log["is_late"] and log["last_heartbeat_seconds_ago"] > LONG_S)

    wait_health(board.health_socket, is_long_late)
    wait_told(board, "no_keys", "task_late")


async def test_a_task_that_hangs_again_and_again_ends_the_process(board: SystemBoard) -> None:
    await make_keys(board)
    await ail(board, HANG_FOR_GOOD)
    assert board.gadget is not None
    assert board.gadget.wait(timeout=2 * PATIENCE_S) == 0  # in its usual order
    assert board.log().count("task hangs, starting it again") == ATTEMPTS
    assert board.log().count("task hangs for good, the process ends") == 1
    # Whatever it ends with, systemd starts it again.
    assert re.search(r"^Restart=always$", UNIT.read_text(), re.MULTILINE)
    start(board)
    wait_until(board.is_ready, PATIENCE_S)
    crash = wait_told(board, "keys_locked", "recent_crash")["software_health"]["last_crash"]
    assert crash["reason"] == "task signature log hung, and starting it again did not help"


async def test_a_process_that_dies_again_and_again(board: SystemBoard) -> None:
    for _ in range(6):
        wait_until(board.health_socket.exists, PATIENCE_S)
        assert board.end_gadget(signal.SIGKILL) == -signal.SIGKILL
        board.health_socket.unlink()
        start(board)
    wait_until(board.is_ready, PATIENCE_S)
    report = wait_told(board, "no_keys", "crash_loop", "recent_crash")
    assert report["status"] == "critical"
    software = report["software_health"]
    assert software["restart_count"] == software["restarts_last_hour"] == 6
    assert software["last_crash"]["reason"].startswith("killed")
