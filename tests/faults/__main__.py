"""python -m tests.faults [--quick] [--only N] [--resume FILE] [--lanes N]: see arguments.py.

Exit status 0 where every promise was kept, 1 where one was broken or a scenario did not end.
"""

import subprocess
import sys
import tempfile
import threading
import time
import traceback
from pathlib import Path
from typing import Final

from tests.faults.arguments import Arguments, parse_arguments
from tests.faults.catalog import Scenario
from tests.faults.findings import Findings, Outcome
from tests.faults.guest import OUT_VARIABLE, outcome_file
from tests.faults.lanes import run_side_by_side, run_to_file
from tests.faults.outside import OutsideScenario
from tests.faults.record import Record
from tests.faults.table import format_table
from tests.fingerprint import fingerprint
from tests.lab.api import COUNTED_PATIENCE, PREPARATION_S, lab_command

__all__ = ["main"]

# All that a scenario runs, and the scenarios.
_CODE: Final = ("tezos", "broker", "registrar", "gadget", "host", "builder", "tests")


def main() -> int:
    arguments = parse_arguments(sys.argv[1:])
    form = "quick" if arguments.is_quick else "full"
    record = Record(arguments.record, form=form, code=fingerprint(_CODE))
    lock = threading.Lock()

    def run(scenario: Scenario | OutsideScenario) -> None:
        print(f"scenario {scenario.number}: {scenario.name}", flush=True)
        if isinstance(scenario, OutsideScenario):
            outcome = run_outside(scenario, arguments)
        else:
            outcome = run_scenario(scenario, form, arguments)
        with lock:
            record.keep(scenario.number, outcome)

    waiting = [each for each in arguments.scenarios if each.number not in record.outcomes]
    for scenario in set(arguments.scenarios) - set(waiting):
        print(f"scenario {scenario.number}: done before, with this code", flush=True)
    # The longest first, or the last one would run alone for long.
    longest_first = sorted(waiting, key=lambda scenario: -scenario.limit_s)
    run_side_by_side(run, longest_first, arguments.lanes)
    outcomes = {each.number: record.outcomes[each.number] for each in arguments.scenarios}
    print(format_table(outcomes))
    return 0 if all(outcome.passed for outcome in outcomes.values()) else 1


def run_scenario(scenario: Scenario, form: str, arguments: Arguments) -> Outcome:
    """In a guest of its own; the daemons' logs of a broken promise stay beside the record.

    The full form counts instructions, so that its times are those of a board of 1 GHz, whatever
    else this machine does meanwhile.
    """
    is_full = form == "full"
    limit_s = scenario.limit_s * (COUNTED_PATIENCE if is_full else 1)
    out = open_folder(scenario, arguments)
    found = outcome_file(out, scenario.number)
    found.unlink(missing_ok=True)
    guest = [sys.executable, "-m", "tests.faults.guest", form, scenario.number]
    log = out / "lab.log"
    with tempfile.TemporaryDirectory() as folder:
        command = lab_command(
            ["env", f"{OUT_VARIABLE}={out}", *guest],
            out=out,
            disk=Path(folder) / "data.img",
            timeout_s=limit_s,
            count_instructions=is_full,
        )
        status = run_to_file(command, log, limit_s + PREPARATION_S)
    if status == 0 and found.exists():
        return Outcome.from_json(found.read_text())
    reason = f"the scenario did not end (status {status}): {log}"
    return Outcome(name=scenario.name, counts={}, measures={}, problems=(reason,), elapsed_s=0.0)


def run_outside(scenario: OutsideScenario, arguments: Arguments) -> Outcome:
    """It boots what it needs."""
    findings = Findings()
    started_s = time.monotonic()
    try:
        scenario.run(open_folder(scenario, arguments), findings, scenario.full, scenario.limit_s)
    except (AssertionError, OSError, subprocess.TimeoutExpired):
        findings.fail(traceback.format_exc())
    return findings.outcome(scenario.name, time.monotonic() - started_s)


def open_folder(scenario: Scenario | OutsideScenario, arguments: Arguments) -> Path:
    """Where a scenario leaves its logs, beside the record."""
    out = arguments.record.with_suffix("") / scenario.number
    out.mkdir(parents=True, exist_ok=True)
    return out


if __name__ == "__main__":
    sys.exit(main())
