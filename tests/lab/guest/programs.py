"""Starts the guest's other programs, each with a log of its own."""

import contextlib
import os
from collections.abc import Mapping
from pathlib import Path

__all__ = ["Programs"]

_TAIL_LINES = 40
_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND


class Programs:
    """The programs that were started, by name. A name is a log's too: FOLDER/NAME.log."""

    def __init__(self, folder: Path, out: Path | None) -> None:
        """Logs are in the folder; with `out` they really are there, and outlive the guest."""
        self._folder = folder
        self._out = out
        self._running: dict[str, int] = {}

    def start(self, name: str, words: list[str], environment: Mapping[str, str]) -> None:
        """Starts a program with no input, and its output in its log."""
        log = self._folder / f"{name}.log"
        if self._out is not None and not log.is_symlink():
            log.symlink_to(self._out / log.name)
        self._running[name] = os.posix_spawnp(
            words[0],
            words,
            environment,
            file_actions=[
                (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                (os.POSIX_SPAWN_OPEN, 1, str(log), _FLAGS, 0o644),
                (os.POSIX_SPAWN_DUP2, 1, 2),
            ],
        )

    def wait(self, name: str) -> None:
        """Waits until it has ended. Raises: RuntimeError with its log, if it failed."""
        _, status = os.waitpid(self._running.pop(name), 0)
        if status != 0:
            raise RuntimeError(self._describe_end(name, status))

    def check_running(self, *names: str) -> None:
        """Raises: RuntimeError with all logs, if one of these has ended."""
        for name in names:
            pid, status = os.waitpid(self._running[name], os.WNOHANG)
            if pid != 0:
                raise RuntimeError(f"{self._describe_end(name, status)}\n{self.describe_logs()}")

    def describe_logs(self) -> str:
        """The end of each log."""
        return "\n".join(self._describe_log(log) for log in sorted(self._folder.glob("*.log")))

    def _describe_end(self, name: str, status: int) -> str:
        code = os.waitstatus_to_exitcode(status)
        return f"{name} ended with {code}\n{self._describe_log(self._folder / f'{name}.log')}"

    def _describe_log(self, log: Path) -> str:
        lines = []
        with contextlib.suppress(OSError):
            lines = log.read_text(errors="replace").splitlines()[-_TAIL_LINES:]
        return "\n".join(f"  {log.stem}: {line}" for line in lines)
