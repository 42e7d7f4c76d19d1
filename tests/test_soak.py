"""The soak itself, on the real stack: a sound gadget passes, each leak is found in a short run."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

import pytest

from tests.lab.plan import PROJECT
from tests.process.run import run_process
from tests.soak.leaks import LEAKS
from tests.soak.series import Metric

pytestmark = [pytest.mark.lab, pytest.mark.timeout(900)]

LIMIT_S: Final = 800.0
PNG: Final = b"\x89PNG\r\n\x1a\n"
# What each leak must be seen by, of the gadget.
SEEN_BY: Final = {
    "memory": Metric.RESIDENT_KIB,
    "descriptor": Metric.DESCRIPTORS,
    "task": Metric.TASKS,
    "thread": Metric.THREADS,
}


def run_soak(out: Path, *options: str) -> "subprocess.CompletedProcess[str]":
    words = [sys.executable, "-m", "tests.soak", "--quick", "--show-all", "--out", str(out)]
    return run_process([*words, *options], folder=PROJECT, limit_s=LIMIT_S)


def read_findings(out: Path) -> dict[tuple[str, str], dict[str, Any]]:
    record = json.loads((out / "record.json").read_text())
    return {(each["process"], each["metric"]): each for each in record["findings"]}


def test_a_quick_soak_of_the_real_stack_does_not_fail(tmp_path: Path) -> None:
    done = run_soak(tmp_path)
    print(done.stdout)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines()[-2] in {"PASSED", "WARNING"}
    assert (tmp_path / "plot.png").read_bytes().startswith(PNG)
    findings = read_findings(tmp_path)
    for process in ("gadget", "tezsign run"):
        assert findings[process, Metric.TASKS]["last"] > 1
        assert findings[process, Metric.RESIDENT_KIB]["growth"] is not None
    assert findings["registrar", Metric.DESCRIPTORS]["last"] > 1
    assert findings["kernel", Metric.AIO_EVENTS]["last"] > 0


def test_every_leak_is_found_in_a_quick_soak(tmp_path: Path) -> None:
    """All at once, to boot once: each is seen by a metric of its own."""
    assert set(SEEN_BY) == set(LEAKS)
    done = run_soak(tmp_path, *(word for leak in LEAKS for word in ("--leak", leak)))
    print(done.stdout)
    assert done.returncode == 1, done.stdout + done.stderr
    findings = read_findings(tmp_path)
    verdicts = {leak: findings["gadget", metric]["verdict"] for leak, metric in SEEN_BY.items()}
    assert set(verdicts.values()) <= {"FAILED", "WARNING"}, verdicts
    assert findings["registrar", Metric.DESCRIPTORS]["verdict"] == "PASSED"
