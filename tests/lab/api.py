"""The lab for tests: one function, which runs the lab as anybody would, in a process of its own."""

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from tests.lab.plan import PROJECT
from tests.process.run import run_process

__all__ = ["COUNTED_PATIENCE", "PREPARATION_S", "lab_command", "run_in_lab"]

_TIMEOUT_S: Final = 300.0
# Fetching what the lab is made of comes on top, the first time.
PREPARATION_S: Final = 600.0
# So many seconds may one of a guest take that counts its instructions, on a machine that is busy.
COUNTED_PATIENCE: Final = 6


def run_in_lab(
    command: Sequence[str | Path],
    *,
    gadget: bool = False,
    systemd: bool = False,
    out: Path | None = None,
    disk: Path | None = None,
    timeout_s: float = _TIMEOUT_S,
    processors: int = 1,
) -> "subprocess.CompletedProcess[str]":
    """Runs the command in a guest, in the project's folder; arguments as in arguments.py."""
    words = lab_command(
        command,
        gadget=gadget,
        systemd=systemd,
        out=out,
        disk=disk,
        timeout_s=timeout_s,
        processors=processors,
    )
    return run_process(words, folder=PROJECT, limit_s=timeout_s + PREPARATION_S)


def lab_command(
    command: Sequence[str | Path],
    *,
    gadget: bool = False,
    systemd: bool = False,
    out: Path | None = None,
    disk: Path | None = None,
    timeout_s: float = _TIMEOUT_S,
    processors: int = 1,
    count_instructions: bool = False,
) -> list[str]:
    """The words that start the lab from the project's folder."""
    words = [sys.executable, "-m", "tests.lab", "--timeout", str(timeout_s)]
    words += ("--processors", str(processors))
    if count_instructions:
        words.append("--count-instructions")
    if gadget:
        words.append("--gadget")
    if systemd:
        words.append("--systemd")
    for option, path in (("--out", out), ("--disk", disk)):
        if path is not None:
            words += (option, str(path))
    return [*words, "--", *(str(word) for word in command)]
