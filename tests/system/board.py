"""A board without a kernel: the real registrar on a fake ep0, the real gadget process on named
pipes.

The pipes stand in for the endpoint files and pass the same contract (tests/contract_endpoint.py);
the fake ep0 passes tests/registrar/ep0_contract.py. The host's side is the host's own session.
"""

import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Final

import trio

from broker.contract import INTERFACE_SIGN
from gadget.endpoints import EndpointStream, adopt_in, adopt_out
from host.client import Client
from host.connection import open_session
from registrar.daemon import serve
from registrar.events import EventType, Setup
from registrar.settings import Settings
from tests.fakes.ep0 import FakeEp0
from tests.registrar.loop import wait_until

__all__ = ["SystemBoard", "open_host", "open_host_stream", "open_system_board"]

_READY: Final = Setup(bmRequestType=0xC1, bRequest=0x5A, wValue=0, wIndex=0, wLength=8)
_READY_FLAG: Final = 6
_FLAGS: Final = os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC
_PATIENCE_S: Final = 20.0


class SystemBoard:
    """Made by `open_system_board`, with USB disabled and no gadget process."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.data = folder / "data"
        self.run = folder / "run"
        self.functionfs = folder / "ffs"
        for made in (self.run, self.functionfs):
            made.mkdir()
        for number in range(1, 5):
            os.mkfifo(self.functionfs / f"ep{number}")
        self.ep0 = FakeEp0()
        self.gadget: subprocess.Popen[bytes] | None = None

    def enable(self) -> None:
        """The host configures the board; returns when it is told that the board is ready."""
        self.ep0.push(EventType.ENABLE)
        wait_until(self.is_ready, _PATIENCE_S)

    def disable(self) -> None:
        self.ep0.push(EventType.DISABLE)
        wait_until(lambda: not self.ready_socket.exists(), _PATIENCE_S)

    @property
    def ready_socket(self) -> Path:
        return self.run / "ready.sock"

    @property
    def health_socket(self) -> Path:
        return self.run / "health.sock"

    def is_ready(self) -> bool:
        """What the host's ready request is answered with."""
        assert self.gadget is None or self.gadget.poll() is None, self.log()
        return self.ep0.request(_READY)[_READY_FLAG] == 1

    def start_gadget(
        self, *module: str, environment: Mapping[str, str] = MappingProxyType({})
    ) -> None:
        """Starts the daemon, or a module that stands in for it, with its arguments."""
        environment = (
            os.environ
            | {
                "TEZSIGN_FFS": str(self.functionfs),
                "TEZSIGN_RUN": str(self.run),
                "TEZSIGN_DATA": str(self.data),
            }
            | dict(environment)
        )
        with (self.folder / "gadget.log").open("ab") as log:
            self.gadget = subprocess.Popen(
                [sys.executable, "-m", *(module or ("gadget",))], env=environment, stderr=log
            )

    def end_gadget(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Returns the exit status."""
        assert self.gadget is not None
        self.gadget.send_signal(number)
        status = self.gadget.wait(timeout=_PATIENCE_S)
        self.gadget = None
        return status

    def log(self) -> str:
        return (self.folder / "gadget.log").read_text()


@contextmanager
def open_system_board(folder: Path) -> Iterator[SystemBoard]:
    board = SystemBoard(folder)
    settings = Settings(
        functionfs=board.functionfs, run=board.run, allowed_uids=frozenset({os.getuid()})
    )
    stop, receiver = socket.socketpair()
    registrar = threading.Thread(target=serve, args=(board.ep0, settings, receiver, {}))
    registrar.start()
    try:
        yield board
    finally:
        if board.gadget is not None:
            board.end_gadget(signal.SIGKILL)
        stop.send(b"!")
        registrar.join()
        for closed in (stop, receiver, board.ep0):
            closed.close()


@asynccontextmanager
async def open_host_stream(
    board: SystemBoard, interface: int = INTERFACE_SIGN
) -> AsyncIterator[EndpointStream]:
    """The host's end of an interface's pipes: it reads ep1 or ep3 and writes ep2 or ep4."""
    name_in, name_out = (board.functionfs / f"ep{2 * interface + n}" for n in (1, 2))
    stream = EndpointStream(
        adopt_out(os.open(name_in, _FLAGS)), adopt_in(os.open(name_out, _FLAGS))
    )
    try:
        yield stream
    finally:
        with trio.CancelScope(shield=True):
            await stream.aclose()


@asynccontextmanager
async def open_host(board: SystemBoard, interface: int) -> AsyncIterator[Client]:
    """A verified session, as a command has one."""
    async with (
        open_host_stream(board, interface) as stream,
        open_session(stream) as session,
    ):
        yield Client(session)
