"""Starts the gadget daemon or the `tezsign` command as they are, and lets their trio count be seen.

    python -m tests.soak.observed REPORT [--leak NAME]… gadget
    python -m tests.soak.observed REPORT tezsign ARGUMENT…

How many tasks live, only the process itself knows. The product has no switch for telling it, so the
product's own main runs here with one task more: it writes the numbers to REPORT four times a
second. Everything else is as installed. `--leak` breaks the gadget on purpose, for the soak's own
tests.
"""

import os
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final, Never

import trio

import gadget.__main__
import host.cli
from tests.soak.leaks import LEAKS

__all__ = ["REPORT_BYTES", "read_report"]

REPORT_BYTES: Final = 32
_PERIOD_S: Final = 0.25

Main = Callable[..., Awaitable[object]]


def read_report(report: Path) -> tuple[int, int]:
    """Returns living tasks, and blocks that Python's allocator has given out."""
    tasks, blocks = report.read_text().split()
    return int(tasks), int(blocks)


async def _report(descriptor: int) -> Never:
    while True:
        tasks = trio.lowlevel.current_statistics().tasks_living
        line = f"{tasks} {sys.getallocatedblocks()}".ljust(REPORT_BYTES)
        os.pwrite(descriptor, line.encode(), 0)
        await trio.sleep(_PERIOD_S)


def _observe(report: Path) -> None:
    """Gives every later `trio.run` of this process the reporting task."""
    descriptor = os.open(report, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
    run = trio.run

    def run_observed(main: Main, *arguments: object) -> object:
        async def observed() -> object:
            trio.lowlevel.spawn_system_task(_report, descriptor)
            return await main(*arguments)

        return run(observed)

    setattr(trio, "run", run_observed)  # noqa: B010 - mypy guards plain ones


def main(words: list[str]) -> int:
    """Returns the exit status of what was started."""
    report, *words = words
    _observe(Path(report))
    while words[0] == "--leak":
        LEAKS[words[1]]()
        del words[:2]
    if words[0] == "gadget":
        return gadget.__main__.main()
    sys.argv = words
    return host.cli.main()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
