"""Runs a command to its end and keeps what it said: the limit holds whatever it leaves behind.

Input and output are files without a name, not pipes. So nobody has to read while it runs, and a
grandchild that holds them open holds nobody.
"""

import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO

from tests.process.child import Child

__all__ = ["run_process"]


def run_process(
    command: Sequence[str | Path],
    *,
    limit_s: float,
    environment: Mapping[str, str] | None = None,
    folder: Path | None = None,
    text: str = "",
) -> "subprocess.CompletedProcess[str]":
    """Returns exit status and output, whatever the status is. `text` is the command's input.

    Raises:
        OSError: it can't be started.
        subprocess.TimeoutExpired: with what it said; it was told to end, and killed.
    """
    with (
        tempfile.TemporaryFile() as stdin,
        tempfile.TemporaryFile() as stdout,
        tempfile.TemporaryFile() as stderr,
    ):
        stdin.write(text.encode())
        stdin.seek(0)
        with Child(
            command,
            environment=environment,
            folder=folder,
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
        ) as child:
            try:
                status = child.wait(limit_s)
            except subprocess.TimeoutExpired as error:
                child.end()
                said = _read_all(stdout), _read_all(stderr)
                raise subprocess.TimeoutExpired(command, limit_s, *said) from error
        return subprocess.CompletedProcess(command, status, _read_all(stdout), _read_all(stderr))


def _read_all(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read().decode(errors="replace")
