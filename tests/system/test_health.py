"""The health report of a whole daemon: over the cable, on its own socket, across a crash."""

import json
import re
import signal
import socket
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import trio

from broker.contract import INTERFACE_MANAGE, INTERFACE_SIGN
from broker.health_messages import CLOCK_EPOCH_UNIX_S
from tests.health_socket import read_health
from tests.payloads import attestation
from tests.registrar.loop import wait_until
from tests.system.board import SystemBoard, open_host, open_system_board

PASSPHRASE = b"correct horse"
PATIENCE_S = 20.0
SETTINGS = """
[software_health]
health_check_interval = 1
crash_history_days = "seven"
"""


@pytest.fixture
def board(tmp_path: Path) -> Iterator[SystemBoard]:
    with open_system_board(tmp_path) as board:
        board.data.mkdir(mode=0o700)
        (board.data / "tezsign.toml").write_text(SETTINGS)
        board.start_gadget()
        board.enable()
        yield board


async def ask(board: SystemBoard, interface: int, clock_s: int | None = None) -> Any:
    async with open_host(board, interface) as client:
        return json.loads(await client.health(clock_s))


def codes(report: Any) -> set[str]:
    return {alert["code"] for alert in report["alerts"]}


async def test_it_tells_what_the_daemon_did_and_how_it_ended(board: SystemBoard) -> None:
    async with open_host(board, INTERFACE_MANAGE) as client:
        await client.init(PASSPHRASE, deterministic=False)
        await client.new(PASSPHRASE, "consensus", "tz4", "NetXdQprcVkpaWU")
        await client.unlock(PASSPHRASE)
        (key,) = await client.status()
    async with open_host(board, INTERFACE_SIGN) as client:
        for level in range(5):
            await client.sign(key.pkh, attestation("tz4", 12_000_000 + level, 0))
        await trio.sleep(3.1)  # a younger report would be given again
        report = json.loads(await client.health(0))
    assert codes(report) == {"settings"}
    assert report["timestamp"] == "2020-01-01T00:00:00Z"
    assert report["signing"]["signatures"] == 5
    latency = report["signing"]["latency"]
    assert latency["signature"]["count"] == latency["marks"]["count"] == 5
    assert 0 < latency["signature"]["p50_ms"] <= latency["total"]["max_ms"]
    assert latency["queue"]["count"] >= 5 <= latency["usb"]["count"]
    assert report["usb"]["state"] == "serving"
    software = report["software_health"]
    assert software["memory"]["rss_bytes"] > 10_000_000
    assert software["file_descriptors"]["open"] > 5
    assert {task["name"] for task in software["tasks"]} == {
        "usb", "signature log", "watch", "health", "health socket"
    }  # fmt: skip
    assert software["last_crash"] is None
    stack = software["stack"]
    assert 8192 < stack["threads_peak_bytes"] < stack["thread_limit_bytes"] <= 512 * 1024
    (marks,) = software["kernel_queues"]  # pipes have none, endpoint files do: tests/kernel
    assert (marks["name"], marks["in_flight"]) == ("marks", 0)
    assert 1 <= marks["in_flight_peak"] <= marks["places"]
    assert read_health(board.health_socket)["keys"]["keys"][0]["lock_state"] == "unlocked"

    assert board.end_gadget(signal.SIGABRT) == -signal.SIGABRT  # as systemd's watchdog does
    board.start_gadget()
    wait_until(board.is_ready, PATIENCE_S)
    report = await ask(board, INTERFACE_SIGN)
    assert codes(report) == {"settings", "keys_locked", "recent_crash"}
    crash = report["software_health"]["last_crash"]
    assert crash["reason"] == "aborted: by systemd's watchdog, or by a library"
    # Whichever thread the kernel gave the signal to, and whatever that was doing.
    assert crash["trace"]
    assert all(re.fullmatch(r"\S.*:\d+ \S+", line) for line in crash["trace"]), crash["trace"]
    assert report["software_health"]["restart_count"] == 1

    assert board.end_gadget() == 0
    board.start_gadget()
    report = await ask(board, INTERFACE_MANAGE, clock_s=1_795_161_600 - CLOCK_EPOCH_UNIX_S)
    assert report["software_health"]["crash_count_24h"] == 1
    assert not (board.run / "health.sock.new").exists()


async def test_a_start_that_failed_is_told_by_the_next_one(board: SystemBoard) -> None:
    board.end_gadget()
    board.start_gadget(environment={"TEZSIGN_REGISTRAR_USER": "no-such-account"})
    assert board.gadget is not None
    assert board.gadget.wait(timeout=PATIENCE_S) == 1
    board.start_gadget()
    wait_until(board.is_ready, PATIENCE_S)
    report = await ask(board, INTERFACE_SIGN)
    assert codes(report) == {"settings", "no_keys", "recent_crash"}
    crash = report["software_health"]["last_crash"]
    assert "GadgetError" in crash["reason"]
    assert "no-such-account" not in json.dumps(report)  # no value of an exception is kept


async def test_settings_that_are_no_toml_do_not_keep_it_from_starting(board: SystemBoard) -> None:
    board.end_gadget()
    (board.data / "tezsign.toml").write_bytes(b"\xff\xfe not toml [")
    board.start_gadget()
    wait_until(board.is_ready, PATIENCE_S)
    report = await ask(board, INTERFACE_SIGN)
    assert "settings" in codes(report)
    assert "settings problem" in board.log()


async def test_the_socket_is_for_reading_only(board: SystemBoard) -> None:
    path = board.health_socket
    wait_until(path.exists, PATIENCE_S)
    assert path.stat().st_mode & 0o777 == 0o660
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(path))
        with suppress(BrokenPipeError):
            client.sendall(b"x" * 1000)  # nobody reads it
    assert read_health(board.health_socket)["schema"] == 1
