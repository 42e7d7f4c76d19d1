"""Which processes are the command's: when it has ended, what it left behind is killed."""

import contextlib
import os
import signal
from pathlib import Path
from typing import Protocol

__all__ = ["AllProcesses", "Processes", "ServiceProcesses"]


class Processes(Protocol):
    """The command and what it has started."""

    def join(self) -> None:
        """The calling process is one of them from here on."""

    def kill(self) -> None:
        """All of them."""


class AllProcesses:
    """Of process 1: everybody else."""

    def join(self) -> None:
        """Nothing to do."""

    def kill(self) -> None:
        """Also the gadget's daemons."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(-1, signal.SIGKILL)


class ServiceProcesses:
    """Of a service of systemd: a control group in that of the service, which is delegated to it.

    Source: Documentation/admin-guide/cgroup-v2.rst, cgroup.procs and cgroup.kill.
    """

    def __init__(self) -> None:
        own = Path("/proc/self/cgroup").read_text().strip().removeprefix("0::/")
        self._folder = Path("/sys/fs/cgroup") / own / "command"
        self._folder.mkdir()

    def join(self) -> None:
        """0 is whoever writes."""
        (self._folder / "cgroup.procs").write_text("0")

    def kill(self) -> None:
        """Not the service itself."""
        (self._folder / "cgroup.kill").write_text("1")
