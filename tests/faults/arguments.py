"""The command line of `python -m tests.faults`."""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.faults.catalog import SCENARIOS, Scenario

__all__ = ["Arguments", "parse_arguments"]

_RECORD: Final = Path("build/faults.json")


@dataclass(frozen=True, slots=True, kw_only=True)
class Arguments:
    """Which scenarios, in which form; `record` is where it goes on."""

    scenarios: tuple[Scenario, ...]
    is_quick: bool
    record: Path


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
        choices=[scenario.number for scenario in SCENARIOS],
        help="this scenario; may be repeated",
    )
    parser.add_argument(
        "--resume",
        metavar="FILE",
        type=Path,
        default=_RECORD,
        help=f"the record of what has been run with this code ({_RECORD})",
    )
    options = parser.parse_args(words)
    wanted = [each for each in SCENARIOS if options.only is None or each.number in options.only]
    return Arguments(
        scenarios=tuple(wanted), is_quick=options.quick, record=options.resume.absolute()
    )
