"""Boots the lab for each group of tests/kernel: what only a real kernel can show."""

import sys
from pathlib import Path
from typing import Final

import pytest

from tests.faults.catalog import SCENARIOS
from tests.faults.findings import Outcome
from tests.faults.guest import OUT_VARIABLE, outcome_file
from tests.kernel_run import run_kernel_tests
from tests.lab.api import run_in_lab

pytestmark = [pytest.mark.lab, pytest.mark.timeout(1200)]

_FAULTS_S: Final = 840


@pytest.mark.parametrize(
    "files",
    [
        ["test_registrar.py", "test_registrar_restart.py", "test_ep0.py"],
        ["test_endpoints.py"],
        ["test_wedge.py"],
        ["test_host_stream.py", "test_host_usb.py", "test_host_session.py"],
        ["test_host_run.py"],
    ],
    ids=["registrar", "endpoints", "wedge", "host", "run"],
)
def test_in_the_lab(files: list[str]) -> None:
    # Where the kernel completes and cancels transfers, it may do so beside our own code.
    processors = 2 if "test_endpoints.py" in files else 1
    run_kernel_tests(*files, processors=processors)


def test_every_fault_scenario_in_its_quick_form(tmp_path: Path) -> None:
    """One boot for all; `make test-faults` is the full form of the same code."""
    numbers = [scenario.number for scenario in SCENARIOS]
    guest = [sys.executable, "-m", "tests.faults.guest", "quick", *numbers]
    done = run_in_lab(
        ["env", f"{OUT_VARIABLE}={tmp_path}", *guest],
        out=tmp_path,
        disk=tmp_path / "data.img",
        timeout_s=_FAULTS_S,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    for number in numbers:
        outcome = Outcome.from_json(outcome_file(tmp_path, number).read_text())
        assert outcome.passed, (number, outcome.problems)


def test_a_key_moves_from_board_to_board(tmp_path: Path) -> None:
    disk = tmp_path / "disk.img"
    with disk.open("wb") as file:
        file.truncate(64 * 1024 * 1024)
    run_kernel_tests("test_failover.py", disk=disk)
