"""What was answered is on the disk when the power goes: right after an answer, and at any write."""

import json
import sys
from pathlib import Path

import pytest

from tests.crash.campaign import find_violation, replay_everywhere
from tests.crash.mutants import MUTANTS
from tests.crash.plan import CHECK, mutant_setup
from tests.crash.record import record
from tests.crash.recording import Mark, Recording
from tests.crash.replay import Share
from tests.kernel.power_cut import LEVEL
from tests.lab.api import run_in_lab

pytestmark = [pytest.mark.lab, pytest.mark.timeout(900)]


def test_marks_come_through_a_power_cut(tmp_path: Path) -> None:
    """The daemon itself, and QEMU killed right after the answer; below, the systematic form."""
    disk, out = tmp_path / "disk.img", tmp_path / "out"
    with disk.open("wb") as file:
        file.truncate(64 * 1024 * 1024)
    script = ["env", f"TEZSIGN_TEST_OUT={out}", sys.executable, "-m", "tests.kernel.power_cut"]
    died = run_in_lab([*script, "sign", "tezsign-gadget"], out=out, disk=disk)
    assert died.returncode == 125, died.stdout + died.stderr
    assert (out / "answered").exists(), died.stdout + died.stderr
    looked = run_in_lab([*script, "look"], out=out, disk=disk)
    assert looked.returncode == 0, looked.stdout + looked.stderr
    assert json.loads(looked.stdout) == {"level": LEVEL, "round": 0}


_OF_THE_WORKLOAD = sorted(MUTANTS.keys() - {"zero-on-missing"})


@pytest.fixture(scope="module")
def recording() -> Recording:
    (setup,) = CHECK.setups
    return record(setup)


def test_no_crash_image_breaks_a_promise(recording: Recording, tmp_path: Path) -> None:
    assert sum('"done":{"signature"' in mark.text for mark in _marks(recording)) >= 20
    recording.save(tmp_path / "recording")
    share = Share(samples=CHECK.samples, destruction=CHECK.destruction)
    tally = replay_everywhere(tmp_path / "recording", share)
    assert not tally.violations
    assert len(tally.digests) >= CHECK.distinct
    assert tally.destroyed > 20


@pytest.mark.parametrize("name", _OF_THE_WORKLOAD)
def test_a_broken_store_is_caught(name: str) -> None:
    violation = find_violation(name, record(mutant_setup(name)))
    assert violation is not None
    assert ": lost " in violation


def test_zero_for_marks_that_are_missing_is_caught(recording: Recording) -> None:
    violation = find_violation("zero-on-missing", recording)
    assert violation is not None
    assert "marks came from nowhere" in violation


def _marks(recording: Recording) -> list[Mark]:
    return [entry for entry in recording.entries if isinstance(entry, Mark)]
