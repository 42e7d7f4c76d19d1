"""Scenarios 3c and 7, which boot a lab of their own kind: real systemd, and the soak.

Their quick forms are in `make test` anyway (tests/test_systemd.py, tests/test_soak.py), so here
they have only a full one. Both say what they counted; this reads it.
"""

import json
import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tests.faults.findings import Findings
from tests.faults.lanes import run_to_file
from tests.lab.api import COUNTED_PATIENCE, PREPARATION_S, lab_command
from tests.soak.series import LOAD, Metric
from tests.systemd.test_registrar import KILLS_VARIABLE

__all__ = ["OUTSIDE", "OutsideScenario"]

_STARTED_S: Final = 2.0  # RestartSec= is a part of it
_AROUND_SOAK_S: Final = 900.0
_TEST: Final = "tests/systemd/test_registrar.py::test_killed_registrar_is_not_seen_by_a_session"
_STARTED: Final = re.compile(r"registrar: started ([\d.]+) s after it was killed")
_SEEN: Final = re.compile(r"registrar: killed (\d+) times, slowest echo meanwhile ([\d.]+) s")


@dataclass(frozen=True, slots=True, kw_only=True)
class OutsideScenario:
    """As `tests.faults.catalog.Scenario`, but `run` gets a folder for what it leaves, and no board.

    Raises, from `run`: AssertionError with what was said, where it did not end well.
    """

    number: str
    name: str
    run: Callable[[Path, Findings, int, float], None]
    full: int
    limit_s: float


def _kill_registrar_of_systemd(out: Path, findings: Findings, kills: int, limit_s: float) -> None:
    """The session of a host goes on, on the same device and with the same gadget."""
    pytest = [sys.executable, "-m", "pytest", "-q", "-s", "-p", "no:cacheprovider"]
    words = ["env", f"{KILLS_VARIABLE}={kills}", *pytest, "--timeout", str(int(limit_s)), _TEST]
    real_s = limit_s * COUNTED_PATIENCE
    lab = lab_command(words, systemd=True, timeout_s=real_s, count_instructions=True)
    said = _run(lab, out, real_s + PREPARATION_S)
    seen = _SEEN.search(said)
    assert seen is not None, said
    findings.count("killed", int(seen[1]))
    findings.check(int(seen[1]) == kills, f"killed {seen[1]} times")
    findings.worst("slowest echo meanwhile, s", float(seen[2]))
    for started_s in _STARTED.findall(said):
        findings.worst("killed to started, s", float(started_s), _STARTED_S)


def _soak(out: Path, findings: Findings, seconds: int, limit_s: float) -> None:
    words = [sys.executable, "-m", "tests.soak", "--duration", str(seconds), "--out", str(out)]
    words.append("--count-instructions")
    _run(words, out, limit_s * COUNTED_PATIENCE + PREPARATION_S)
    record = json.loads((out / "record.json").read_text())
    findings.count("seconds", int(record["duration_s"]))
    for finding in record["findings"]:
        _judge(findings, finding)


def _run(words: Sequence[str], out: Path, limit_s: float) -> str:
    """Returns what it said."""
    log = out / "log"
    status = run_to_file(words, log, limit_s)
    said = log.read_text()
    assert status == 0, said
    return said


def _judge(findings: Findings, finding: dict[str, Any]) -> None:
    """A warning will do, but not where resident memory may have grown beyond its bound."""
    name = f"{finding['process']}: {finding['metric']}"
    findings.check(finding["verdict"] != "FAILED", f"{name}: {finding['reason']}")
    if finding["metric"] == Metric.RESIDENT_KIB:
        upper, bound = (each / 1024 for each in (finding["growth"]["upper"], finding["bound"]))
        findings.worst(f"growth of {finding['process']}, MiB/h", upper, round(bound, 2))
    elif finding["process"] == LOAD and finding["metric"] == Metric.SIGNED:
        findings.count("signatures", int(finding["last"]))


OUTSIDE: Final = (
    OutsideScenario(
        number="3c",
        name="kill -9 of the registrar under systemd",
        run=_kill_registrar_of_systemd,
        full=50,
        limit_s=1200,
    ),
    OutsideScenario(
        number="7",
        name="soak at full speed (seconds)",
        run=_soak,
        full=600,
        limit_s=600 + _AROUND_SOAK_S,
    ),
)
