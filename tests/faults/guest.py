"""Inside the lab: runs the scenarios that are named, and leaves an outcome of each in a folder.

`python -m tests.faults.guest quick|full NUMBER…`
"""

import os
import shutil
import sys
import time
import traceback
from pathlib import Path
from typing import Final

import trio

from tests.faults.catalog import Scenario, find_scenario
from tests.faults.findings import Findings
from tests.faults.stack import Stack, open_stack

__all__ = ["OUT_VARIABLE", "main", "outcome_file"]

OUT_VARIABLE: Final = "TEZSIGN_TEST_OUT"
# The quick form runs beside other tests, the full one has the machine for itself.
_QUICK_PATIENCE: Final = 3.0


def outcome_file(out: Path, number: str) -> Path:
    return out / f"outcome-{number}.json"


def main() -> None:
    form, *numbers = sys.argv[1:]
    out = Path(os.environ[OUT_VARIABLE])
    for number in numbers:
        run_scenario(find_scenario(number), is_quick=form == "quick", out=out)


def run_scenario(scenario: Scenario, *, is_quick: bool, out: Path) -> None:
    """On a board of its own; the daemons' logs are kept where a promise was broken."""
    findings = Findings(patience=_QUICK_PATIENCE if is_quick else 1.0)
    started_s = time.monotonic()
    with open_stack(scenario.gadget) as stack:
        try:
            count = scenario.quick if is_quick else scenario.full
            trio.run(scenario.run, stack, findings, count)
            check_ledger(stack, findings)
        except Exception:  # noqa: BLE001 - told in the table, and the next scenario goes on
            findings.fail(traceback.format_exc())
        outcome = findings.outcome(scenario.name, time.monotonic() - started_s)
        if not outcome.passed:
            keep_logs(stack, out / f"logs-{scenario.number}")
    outcome_file(out, scenario.number).write_text(outcome.to_json())
    print(f"scenario {scenario.number} done after {outcome.elapsed_s:.0f} s", flush=True)


def check_ledger(stack: Stack, findings: Findings) -> None:
    findings.count("places signed", len(stack.ledger))
    public_keys = {key.pkh: key.public_key for key in stack.keys}
    for wrong in stack.ledger.check_signatures(public_keys):
        findings.fail(wrong)


def keep_logs(stack: Stack, folder: Path) -> None:
    folder.mkdir(exist_ok=True)
    for name in ("gadget.log", "log"):
        source = stack.board.assets.run_folder / name
        if source.exists():
            shutil.copyfile(source, folder / name)


if __name__ == "__main__":
    main()
