"""python -m tests.crash [full] | mutants | replay FILE

The first form records, replays and counts; `full` goes on where it was stopped; `mutants` shows
that broken stores are caught; `replay` looks again at a recording that was kept. Exit status 1: a
promise is broken, a mutant went unseen or too few disks were tried.
"""

import sys
from pathlib import Path
from typing import Final

from tests.crash.campaign import describe, find_violation, replay_everywhere, run_plan
from tests.crash.kept import Kept
from tests.crash.mutants import MUTANTS
from tests.crash.plan import FULL, QUICK, Plan, mutant_setup
from tests.crash.record import record
from tests.crash.recording import Recording
from tests.crash.replay import Share

_VIOLATIONS_SHOWN: Final = 40
_KEPT: Final = Path("build/crash")


def tell(line: str) -> None:
    print(line, flush=True)


def run(plan: Plan, kept: Kept | None = None) -> bool:
    report = run_plan(plan, tell, kept)
    tally = report.tally
    for damage, count in tally.images.items():
        tell(f"  {count:8} {damage} ({tally.unrepaired[damage]} not mounted)")
    distinct = len(tally.digests)
    tell(
        f"{sum(tally.images.values())} crash images, {distinct} distinct after repair (wanted:"
        f" {plan.distinct}), {tally.opened} stores judged, {len(tally.violations)} violations,"
        f" {report.seconds:.0f} s"
    )
    return not tally.violations and distinct >= plan.distinct


def run_mutants() -> bool:
    found = {name: find_violation(name, record(mutant_setup(name))) for name in MUTANTS}
    for name, violation in found.items():
        tell(f"{name}: {violation or 'NOT CAUGHT'}")
    return all(found.values())


def replay_again(path: Path) -> bool:
    tally = replay_everywhere(path, Share(samples=2, destruction=0.1))
    tell(describe(Recording.load(path), tally))
    for violation in tally.violations[:_VIOLATIONS_SHOWN]:
        tell(violation)
    return not tally.violations


def main() -> int:
    match sys.argv[1:]:
        case []:
            is_good = run(QUICK)
        case ["full"]:
            is_good = run(FULL, Kept(_KEPT))
        case ["mutants"]:
            is_good = run_mutants()
        case ["replay", path]:
            is_good = replay_again(Path(path))
        case _:
            tell(__doc__ or "")
            return 2
    return 0 if is_good else 1


if __name__ == "__main__":
    sys.exit(main())
