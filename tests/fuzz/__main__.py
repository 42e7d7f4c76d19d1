"""python -m tests.fuzz [TARGET…] [--runs N] | keep [TARGET…] | mutants | quick TARGET

The first form fuzzes (all targets, and 1,000,000 inputs each, where nothing else is said) and
prints a table; a finding makes exit status 1 and stays in build/fuzz/found. `keep` makes the kept
corpora anew. `mutants` shows that parsers that were broken on purpose are found. `quick` needs no
atheris.
"""

import argparse
import sys
from random import Random
from typing import Final

from tests.fuzz.campaign import fuzz, keep
from tests.fuzz.mutants import MUTANTS, is_found
from tests.fuzz.quick import find
from tests.fuzz.targets import TARGETS, load_target

_RUNS: Final = 1_000_000
_QUICK_INPUTS: Final = 20_000


def tell(line: str) -> None:
    print(line, flush=True)


def run(names: list[str], runs: int) -> bool:
    tell("| target | inputs | a second | edges | peak MB | findings |")
    tell("|---|---|---|---|---|---|")
    reports = []
    for name in names:
        report = fuzz(name, runs)
        reports.append(report)
        figures = (report.inputs, report.per_second, report.edges, report.peak_mb)
        told = report.finding or 0
        tell(f"| {name} | " + " | ".join(f"{figure:,}" for figure in figures) + f" | {told} |")
        if report.finding:
            sys.stderr.write(report.said)
    return not any(report.finding for report in reports)


def run_mutants() -> bool:
    found = [is_found(mutant, quick=False) for mutant in MUTANTS]
    for mutant, is_caught in zip(MUTANTS, found, strict=True):
        tell(f"{mutant.target}: {mutant.what}: {'found' if is_caught else 'NOT FOUND'}")
    return all(found)


def main() -> int:
    parser = argparse.ArgumentParser(prog="tests.fuzz", usage=__doc__)
    parser.add_argument("words", nargs="*")
    parser.add_argument("--runs", type=int, default=_RUNS)
    options = parser.parse_args()
    match options.words:
        case ["mutants"]:
            return 0 if run_mutants() else 1
        case ["quick", name]:
            find(load_target(name), name, _QUICK_INPUTS, Random(0))  # noqa: S311 - repeatable
        case ["keep", *names]:
            for name in names or TARGETS:
                keep(name)
        case names:
            return 0 if run(names or list(TARGETS), options.runs) else 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
