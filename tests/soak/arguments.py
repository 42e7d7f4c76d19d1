"""The command line: python -m tests.soak [OPTIONS]

Exit status: 0 where the verdict is PASSED or WARNING, 1 where it is FAILED; 2 for wrong usage;
otherwise the lab's own (tests/lab/arguments.py).
"""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.lab.plan import PROJECT
from tests.soak.leaks import LEAKS

__all__ = ["Arguments", "parse_arguments"]

_DEFAULT_S: Final = 30.0
_QUICK_S: Final = 15.0
_LEAST_S: Final = 10.0
_DEFAULT_OUT: Final = PROJECT / "build" / "soak"


@dataclass(frozen=True, slots=True, kw_only=True)
class Arguments:
    """How long, where to, and what is broken on purpose.

    Args:
        out: gets samples, logs, record.json and plot.png.
    """

    duration_s: float
    show_all: bool
    out: Path
    leaks: tuple[str, ...]
    count_instructions: bool

    @property
    def period_s(self) -> float:
        """From one sample to the next: a hundred in a short run, one a second in a long one."""
        return min(1.0, self.duration_s / 100)

    @property
    def unplug_s(self) -> float:
        """From one pulled cable to the next: often enough that each quarter of a run has some."""
        return min(10.0, self.duration_s / 15)


def parse_arguments(words: Sequence[str]) -> Arguments:
    """Ends the program with status 2 and a usage line where the words are wrong."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.soak",
        description="Run the real stack in the lab under mixed load and see whether it grows.",
        allow_abbrev=False,
    )
    length = parser.add_mutually_exclusive_group()
    length.add_argument("--duration", metavar="S", type=float, default=_DEFAULT_S)
    length.add_argument("--quick", action="store_true", help=f"{_QUICK_S:.0f} s, as in the tests")
    parser.add_argument(
        "--show-all", action="store_true", help="every metric, not only notable ones"
    )
    parser.add_argument("--out", metavar="DIR", type=Path, default=_DEFAULT_OUT)
    parser.add_argument(
        "--leak",
        metavar="NAME",
        choices=sorted(LEAKS),
        action="append",
        default=[],
        help=f"break the gadget on purpose: {', '.join(sorted(LEAKS))}; repeatable",
    )
    parser.add_argument(
        "--count-instructions",
        action="store_true",
        help="at the speed of a board of 1 GHz, whatever else this machine does; takes longer",
    )
    options = parser.parse_args(words)
    if options.duration < _LEAST_S:
        parser.error(f"a soak lasts {_LEAST_S:.0f} s at least")
    return Arguments(
        duration_s=_QUICK_S if options.quick else options.duration,
        show_all=options.show_all,
        out=options.out.absolute(),
        leaks=tuple(options.leak),
        count_instructions=options.count_instructions,
    )
