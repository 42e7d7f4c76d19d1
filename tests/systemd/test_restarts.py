"""What systemd does about a daemon that dies or hangs, and what a host sees of it."""

import signal
import time
from pathlib import Path
from typing import Any

import pytest

from tests.health_socket import read_health, wait_health
from tests.kernel.board import PASSPHRASE, tezsign
from tests.systemd.units import (
    DAEMONS,
    PATIENCE_S,
    device_number,
    drop_in,
    journal,
    kill,
    main_pid,
    read_property,
    run,
    wait_ready,
    wait_started_again,
)

# Under emulation starting a process in a sandbox takes its time; RestartSec is at most 1 s.
START_S = 10.0
HEALTH_SOCKET = Path("/run/tezsign/health.sock")
STACK_BYTES = 512 * 1024  # gadget/hardening.py


@pytest.fixture(scope="module")
def key() -> str:
    """A key on the board; its alias."""
    tezsign("init", passphrase=PASSPHRASE)
    tezsign("new", "consensus", passphrase=PASSPHRASE)
    return "consensus"


def lock_state(key: str) -> str:
    (status,) = tezsign("status")
    assert status["id"] == key
    state: str = status["lock_state"]
    return state


def see_stack() -> None:
    """What the derivation has used of its thread's small stack is told from within the sandbox."""

    def is_told(report: Any) -> bool:
        stack = report["software_health"]["stack"]
        peak_bytes, limit_bytes = int(stack["threads_peak_bytes"]), int(stack["thread_limit_bytes"])
        return 0 < peak_bytes < limit_bytes <= STACK_BYTES

    wait_health(HEALTH_SOCKET, is_told)


def test_killed_signer_comes_back_with_its_keys_locked(key: str) -> None:
    tezsign("unlock", key, passphrase=PASSPHRASE)
    assert lock_state(key) == "unlocked"
    see_stack()
    device = device_number()
    before, killed_s = kill("tezsign")
    started_s = wait_started_again("tezsign", before)
    assert started_s - killed_s <= START_S
    wait_ready()
    assert lock_state(key) == "locked"
    assert device_number() == device  # a host sees no disconnect


def test_killed_registrar_comes_back_and_a_host_sees_no_disconnect(key: str) -> None:
    tezsign("unlock", key, passphrase=PASSPHRASE)
    signer, device = main_pid("tezsign"), device_number()
    before, killed_s = kill("ffs_registrar")
    started_s = wait_started_again("ffs_registrar", before)
    assert started_s - killed_s <= START_S
    wait_ready()
    assert lock_state(key) == "unlocked"
    assert main_pid("tezsign") == signer
    assert device_number() == device


def test_killed_attachment_comes_back_and_nobody_notices() -> None:
    device, others = device_number(), [main_pid(unit) for unit in DAEMONS[:2]]
    before, killed_s = kill("attach-gadget")
    started_s = wait_started_again("attach-gadget", before)
    assert started_s - killed_s <= START_S
    wait_ready()
    assert device_number() == device
    assert [main_pid(unit) for unit in DAEMONS[:2]] == others


@pytest.mark.parametrize("unit", DAEMONS)
def test_watchdog_ends_a_process_that_hangs(unit: str) -> None:
    with drop_in(unit, "WatchdogSec=3"):
        run("systemctl", "restart", f"{unit}.service")
        wait_ready()
        before, stopped_s = kill(unit, signal.SIGSTOP)
        started_s = wait_started_again(unit, before)
        assert 1 <= started_s - stopped_s <= PATIENCE_S
        assert any("Watchdog timeout" in str(e["MESSAGE"]) for e in journal(unit))
        wait_ready()
        if unit == "tezsign":
            crash = read_health(HEALTH_SOCKET)["software_health"]["last_crash"]
            # A process that was stopped may have to be killed for good.
            assert crash["reason"].startswith(("aborted: by systemd's watchdog", "killed"))
    run("systemctl", "restart", f"{unit}.service")


@pytest.mark.parametrize("unit", DAEMONS)
def test_told_to_stop_it_stops_at_once_and_in_order(unit: str) -> None:
    wait_ready()
    before_s = time.monotonic()
    run("systemctl", "stop", f"{unit}.service")
    print(f"{unit}: stopped after {time.monotonic() - before_s:.1f} s")
    assert read_property(unit, "Result") == "success"
    assert read_property(unit, "ExecMainStatus") == "0"
    run("systemctl", "start", f"{unit}.service")
    wait_ready()
