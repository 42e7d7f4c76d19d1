"""The command line of `python -m tests.faults`."""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.faults.catalog import SCENARIOS, Scenario
from tests.faults.lanes import LANES
from tests.faults.outside import OUTSIDE, OutsideScenario

__all__ = ["Arguments", "parse_arguments"]

_RECORD: Final = Path("build/faults.json")
_EITHER: Final[tuple[Scenario | OutsideScenario, ...]] = (*SCENARIOS, *OUTSIDE)
_ALL: Final = tuple(sorted(_EITHER, key=lambda scenario: scenario.number))


@dataclass(frozen=True, slots=True, kw_only=True)
class Arguments:
    """Which scenarios, in which form; `record` is where it goes on, `lanes` how many at a time."""

    scenarios: tuple[Scenario | OutsideScenario, ...]
    is_quick: bool
    record: Path
    lanes: int


def parse_arguments(words: Sequence[str]) -> Arguments:
    """Ends the program with status 2 and a usage line where the words are wrong."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.faults",
        description="Run the fault scenarios on a real kernel and print their table.",
        allow_abbrev=False,
    )
    parser.add_argument("--quick", action="store_true", help="the same code, fewer times")
    parser.add_argument(
        "--only",
        action="append",
        choices=[scenario.number for scenario in _ALL],
        help="this scenario; may be repeated",
    )
    parser.add_argument(
        "--resume",
        metavar="FILE",
        type=Path,
        default=_RECORD,
        help=f"the record of what has been run with this code ({_RECORD})",
    )
    parser.add_argument(
        "--lanes", metavar="N", type=int, default=LANES, help=f"so many at a time ({LANES})"
    )
    options = parser.parse_args(words)
    there: tuple[Scenario | OutsideScenario, ...] = SCENARIOS if options.quick else _ALL
    wanted = [each for each in there if options.only is None or each.number in options.only]
    if not wanted:
        parser.error("these have no quick form here")
    return Arguments(
        scenarios=tuple(wanted),
        is_quick=options.quick,
        record=options.resume.absolute(),
        lanes=options.lanes,
    )
