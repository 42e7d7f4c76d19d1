"""The one way to start an outside program: with a time limit, and an error to type again."""

import os
import shlex
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from image.errors import BuildFailed

__all__ = ["run"]

_SAID_CHARACTERS = 2000


def run(
    command: Sequence[str | Path],
    *,
    limit_s: float = 300.0,
    environment: Mapping[str, str] | None = None,
    folder: Path | None = None,
    good: tuple[int, ...] = (0,),
) -> bytes:
    """Returns what the program wrote to standard output.

    Args:
        environment: added to this process's own.
        good: exit statuses that mean success.

    Raises:
        BuildFailed: it can't be started, took too long, or ended with another status.
    """
    typed = shlex.join(str(word) for word in command)
    try:
        process = subprocess.Popen(  # noqa: S603  (no shell)
            [str(word) for word in command],
            env={**os.environ, **(environment or {})},
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
    except OSError as error:
        raise BuildFailed(f"{command[0]} can't be run: {error.strerror}") from error
    try:
        output, said = process.communicate(timeout=limit_s)
    except BaseException as error:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        if isinstance(error, subprocess.TimeoutExpired):
            raise BuildFailed(f"{typed} took more than {limit_s:.0f} s") from error
        raise
    if process.returncode not in good:
        text = (said or output).decode(errors="replace").strip()[-_SAID_CHARACTERS:]
        raise BuildFailed(f"{typed} ended with status {process.returncode}: {text}")
    return output
