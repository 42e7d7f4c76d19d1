"""The whole board on a real kernel: both daemons, started in the order in which a board starts
them.

In the lab only. Holds no knowledge of requests; the tests talk to it with the `tezsign` command, as
a baker does, through `tezsign` below.
"""

import json
import os
import signal
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from broker.contract import INTERFACE_SIGN, READY_REQUEST, READY_REQUEST_TYPES, VENDOR_ID
from registrar.events import Setup
from tests.kernel.registrar_board import Assets, RegistrarProcess
from tests.kernel.usb_control import ControlHost, Stalled
from tests.kernel.usbfs import find_device
from tests.process.child import Child
from tests.process.run import run_process
from tests.registrar.loop import wait_until

__all__ = ["PASSPHRASE", "Board", "open_board", "open_signer", "tezsign"]

PASSPHRASE: Final = "correct horse battery staple"
_GADGET: Final = ("tezsign-gadget",)
_TEZSIGN: Final = ("tezsign",)
_READY_FLAG_OFFSET: Final = 6
_LOG_BYTES: Final = 16 * 1024
# What a signer has seen is kept from one to the next, as on a baker's machine.
_STATE: Final = "/tmp/tezsign-state"  # noqa: S108 - the guest's own
# A command that derives three keys, where several machines are emulated on two processors.
_PATIENCE_S: Final = 180.0


class Board:
    """A board whose gadget daemon can be killed and started again. Made by `open_board`."""

    def __init__(self, assets: Assets, data: Path) -> None:
        self.assets = assets
        self.data = data
        self.registrar = RegistrarProcess(assets)
        self.gadget: Child | None = None

    def start_gadget(self, command: Sequence[str] = _GADGET) -> None:
        """Starts the daemon, and returns when a host is told that the board is ready."""
        environment = self.assets.environment | {"TEZSIGN_DATA": str(self.data)}
        with (self.assets.run_folder / "gadget.log").open("ab") as log:
            self.gadget = Child(command, environment=environment, stderr=log)
        wait_until(self.is_ready, _PATIENCE_S)

    def end_gadget(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Returns the exit status."""
        assert self.gadget is not None
        status = self.gadget.end(number, grace_s=_PATIENCE_S)
        self.gadget = None
        return status

    def is_ready(self) -> bool:
        """What the host's ready request is answered with."""
        assert self.gadget is None or self.gadget.poll() is None, self.gadget_log()
        host = ControlHost(find_device(VENDOR_ID))
        ready = Setup(
            bmRequestType=READY_REQUEST_TYPES[0],
            bRequest=READY_REQUEST,
            wValue=0,
            wIndex=INTERFACE_SIGN,
            wLength=8,
        )
        try:
            return host.request(ready)[_READY_FLAG_OFFSET] == 1
        except (Stalled, OSError):
            return False
        finally:
            host.close()

    def gadget_log(self) -> str:
        return (self.assets.run_folder / "gadget.log").read_text()


@contextmanager
def open_board(folder: Path, data: Path) -> Iterator[Board]:
    """A board on the bus, without its gadget daemon; afterwards nothing of it is left."""
    assets = Assets(folder)
    setup = assets.run("setup-gadget")
    assert setup.returncode == 0, setup.stderr
    board = Board(assets, data)
    try:
        assets.attach()
        yield board
    finally:
        if board.gadget is not None:
            board.end_gadget(signal.SIGKILL)
        board.registrar.end()
        assets.remove()


def tezsign(
    *arguments: str, passphrase: str | None = None, expect: int = 0, last_line: bool = False
) -> Any:
    """Runs the command as installed and returns its JSON (None where it printed nothing).

    With `expect` other than 0 it returns the line that the command wrote to standard error, the
    only one; with `last_line` the log of `run` may come before.
    """
    environment = os.environ | ({} if passphrase is None else {"TEZSIGN_UNLOCK_PASS": passphrase})
    done = run_process(["tezsign", *arguments], environment=environment, limit_s=_PATIENCE_S)
    assert done.returncode == expect, (arguments, done.returncode, done.stdout, done.stderr)
    if expect != 0:
        assert "Traceback" not in done.stderr
        if last_line:
            return done.stderr.splitlines()[-1]
        assert len(done.stderr.splitlines()) == 1, done.stderr
        return done.stderr
    return json.loads(done.stdout) if done.stdout else None


@contextmanager
def open_signer(port: int, *arguments: str, command: Sequence[str] = _TEZSIGN) -> Iterator[Child]:
    """`tezsign run` on a port of the guest, from its first line until the end of the block."""
    words = [*command, "run", "--listen", f"127.0.0.1:{port}", *arguments]
    environment = os.environ | {"XDG_STATE_HOME": _STATE}
    with (
        tempfile.TemporaryFile() as log,
        Child(words, environment=environment, stderr=log) as signer,
    ):

        def is_listening() -> bool:
            said = os.pread(log.fileno(), _LOG_BYTES, 0)
            assert signer.poll() is None, said.decode(errors="replace")
            return b"listening" in said

        wait_until(is_listening, _PATIENCE_S)
        yield signer
