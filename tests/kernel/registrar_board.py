"""The real registrar on the real FunctionFS, and what a gadget and a host need to look at it."""

import os
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from broker.contract import VENDOR_ID
from registrar.sockets import connect_local, is_closed_by_peer
from tests.kernel.usbfs import find_device
from tests.process.child import Child
from tests.process.run import run_process
from tests.registrar.loop import wait_for, wait_until

__all__ = ["CONFIGFS", "SERIAL", "Assets", "RegistrarProcess", "Session"]

SERIAL: Final = "0123456789abcdef"
CONFIGFS: Final = Path("/sys/kernel/config/usb_gadget/tezsign")
_ASSETS: Final = Path(__file__).parents[2] / "builder" / "assets"
_LIMIT_S: Final = 60.0
_GADGET_PARTS: Final = (
    "os_desc/c.1",
    "configs/c.1/ffs.tezsign",
    "configs/c.1/strings/0x409",
    "configs/c.1",
    "functions/ffs.tezsign",
    "strings/0x409",
    ".",
)


class Assets:
    """The scripts that the board runs, in a folder of their own."""

    def __init__(self, folder: Path) -> None:
        self.functionfs = folder / "ffs"
        self.run_folder = folder / "run"
        self.run_folder.mkdir()
        self.environment = os.environ | {
            "TEZSIGN_FFS": str(self.functionfs),
            "TEZSIGN_RUN": str(self.run_folder),
            "TEZSIGN_SERIAL": SERIAL,
        }

    def run(self, name: str, *words: str, **environment: str) -> "subprocess.CompletedProcess[str]":
        return run_process(
            [_ASSETS / name, *words], environment=self.environment | environment, limit_s=_LIMIT_S
        )

    def start(self, name: str) -> Child:
        return Child([_ASSETS / name], environment=self.environment)

    def set_up(self) -> None:
        done = self.run("setup-gadget")
        assert done.returncode == 0, done.stderr

    def attach(self) -> Path:
        """Returns the device's place in sysfs once the host has configured it."""
        done = self.run("attach-gadget")
        assert done.returncode == 0, done.stderr
        return find_device(VENDOR_ID)

    def detach(self) -> None:
        assert self.run("attach-gadget", "detach").returncode == 0

    def remove(self) -> None:
        """Leaves nothing, so that another test module can have a gadget."""
        self.detach()
        run_process(["umount", self.functionfs], limit_s=_LIMIT_S).check_returncode()
        for part in _GADGET_PARTS:
            path = CONFIGFS / part
            path.unlink() if path.is_symlink() else path.rmdir()


class RegistrarProcess:
    """`python -m registrar`, with its log in a file."""

    def __init__(
        self,
        assets: Assets,
        *,
        command: Sequence[str] = (sys.executable, "-m", "registrar"),
        inherited: Sequence[int] = (),
        started: str = "descriptors are written",
    ) -> None:
        """Returns once its log has the line `started`."""
        self.log = assets.run_folder / "log"
        self.enabled_socket = assets.run_folder / "enabled.sock"
        self.ready_socket = assets.run_folder / "ready.sock"
        with self.log.open("wb") as log:
            self.process = Child(
                command, environment=assets.environment, stderr=log, inherited=inherited
            )
        wait_until(lambda: self.has_more(started, 0) or self.process.poll() is not None, _LIMIT_S)
        if not self.has_more(started, 0):
            self.end()
            raise AssertionError(self.log.read_text())

    def count(self, text: str) -> int:
        return self.log.read_text().count(text)

    def has_more(self, text: str, before: int) -> bool:
        return self.count(text) > before

    def resident_kb(self) -> int:
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        found = re.search(r"VmHWM:\s+(\d+) kB", status)
        assert found is not None
        return int(found[1])

    def open_files(self) -> int:
        return len(list(Path(f"/proc/{self.process.pid}/fd").iterdir()))

    def end(self) -> int:
        """Returns the exit status after SIGTERM."""
        return self.process.end(grace_s=_LIMIT_S)


class Session:
    """A gadget's connection to the enabled socket."""

    def __init__(self, registrar: RegistrarProcess) -> None:
        self._connection = wait_for(lambda: connect_local(registrar.enabled_socket))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        _type: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        self._connection.close()

    def wait_end(self) -> None:
        wait_until(lambda: is_closed_by_peer(self._connection))

    @property
    def lasts(self) -> bool:
        return not is_closed_by_peer(self._connection)
