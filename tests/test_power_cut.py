"""The machine dies right after an answer: what was answered is on the disk."""

import json
import sys
from pathlib import Path

import pytest

from tests.kernel.power_cut import LEVEL
from tests.lab.api import run_in_lab

pytestmark = [pytest.mark.lab, pytest.mark.timeout(900)]


def cut_power_after_signing(folder: Path, *gadget: str) -> dict[str, int] | None:
    """Returns the mark that is found after the next start."""
    disk, out = folder / "disk.img", folder / "out"
    with disk.open("wb") as file:
        file.truncate(64 * 1024 * 1024)
    script = ["env", f"TEZSIGN_TEST_OUT={out}", sys.executable, "-m", "tests.kernel.power_cut"]
    died = run_in_lab([*script, "sign", *gadget], out=out, disk=disk)
    assert died.returncode == 125, died.stdout + died.stderr
    assert (out / "answered").exists(), died.stdout + died.stderr
    looked = run_in_lab([*script, "look"], out=out, disk=disk)
    assert looked.returncode == 0, looked.stdout + looked.stderr
    mark: dict[str, int] | None = json.loads(looked.stdout)
    return mark


def test_marks_come_through_a_power_cut(tmp_path: Path) -> None:
    assert cut_power_after_signing(tmp_path, "tezsign-gadget") == {"level": LEVEL, "round": 0}


def test_a_daemon_that_never_syncs_is_caught(tmp_path: Path) -> None:
    mutant = (sys.executable, "-m", "tests.kernel.mutants", "never-synced")
    assert cut_power_after_signing(tmp_path, *mutant) != {"level": LEVEL, "round": 0}
