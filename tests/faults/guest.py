"""Inside the lab: runs the scenarios that are named, and leaves an outcome of each in a folder.

`python -m tests.faults.guest quick|full NUMBER…`
"""

import os
import shutil
import sys
import time
import traceback
from collections import deque
from pathlib import Path
from typing import Final

import trio

from tests.faults.catalog import Scenario, find_scenario
from tests.faults.findings import Findings, Outcome
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
    waiting = deque(sorted(map(find_scenario, numbers), key=lambda scenario: scenario.gadget))
    while waiting:
        run_on_one_board(waiting, is_quick=form == "quick", out=out)


def run_on_one_board(waiting: deque[Scenario], *, is_quick: bool, out: Path) -> None:
    """As many as want the same gadget, one at least: a board takes as long as a quick scenario.

    Whatever breaks a promise, or ends the gadget, is the last one on its board.
    """
    command = waiting[0].gadget
    with open_stack(command) as stack:
        is_whole = True
        while is_whole and waiting and waiting[0].gadget == command:
            outcome = run_scenario(waiting.popleft(), stack, is_quick=is_quick, out=out)
            is_whole = outcome.passed and stack.board.gadget is not None


def run_scenario(scenario: Scenario, stack: Stack, *, is_quick: bool, out: Path) -> Outcome:
    """The daemons' logs are kept where a promise was broken."""
    findings = Findings(patience=_QUICK_PATIENCE if is_quick else 1.0)
    started_s = time.monotonic()
    try:
        trio.run(stack.begin)
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
    return outcome


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
