"""Puts fake boards where the commands look for real ones; `python -m` runs `tezsign` with them.

TEZSIGN_FAKE for the process: "none", "several", "away" (never there), "ailing" (a board that has
much to tell), or else one board.
"""

import os
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import trio

from host import cli, doctor, serving, session_board
from host.commands import board, device, health
from host.discover import DeviceInfo
from host.errors import DeviceBusy, HostError, NoDevice, SeveralDevices
from host.session import SessionCounters
from tests.gadget.health.samples import AILING
from tests.host.fake_board import FakeBoard
from tezos.keys import KeyType

__all__ = ["FakeCable", "FakeSession"]

Patch = Callable[[object, str, object], None]


def _attach(serial: str, problem: str | None = None) -> DeviceInfo:
    return DeviceInfo(
        serial=serial,
        product="tezsign-gadget",
        bus=1,
        address=2,
        port_path="1-1",
        readable=True,
        ready=problem is None,
        problem=problem,
    )


class FakeSession:
    """What `tezsign run` uses of `host.session.PersistentSession`."""

    def __init__(self, cable: "FakeCable", serial: str | None) -> None:
        self._cable = cable
        self.serial = serial
        self.client = cable.board
        self.problem: HostError | None = cable.missing

    async def run(self) -> None:
        await trio.sleep_forever()

    async def wait_up(self, after: int = 0) -> int:
        if self._cable.missing is not None or after > 0:
            await trio.sleep_forever()
        return 1

    async def wait_turn(self) -> None:
        await trio.sleep(1)

    def counters(self) -> SessionCounters:
        return SessionCounters()


class FakeCable:
    """`boards` are attached; all of them answer as `board` does."""

    def __init__(self, *serials: str, missing: HostError | None = None) -> None:
        self.boards = tuple(_attach(serial) for serial in serials)
        self.board = FakeBoard(KeyType.TZ4, KeyType.TZ1)
        self.missing = missing
        self.opened: list[tuple[str | None, int]] = []
        self.busy = False

    def find_devices(self) -> tuple[DeviceInfo, ...]:
        return self.boards

    def choose(self, serial: str | None) -> DeviceInfo:
        found = [b for b in self.boards if serial in (None, b.serial)]
        if not found:
            raise NoDevice("no board is attached: plug it in")
        if len(found) > 1:
            raise SeveralDevices("several boards are attached: name one with --device")
        return found[0]

    @asynccontextmanager
    async def open_client(self, info: DeviceInfo, interface: int) -> AsyncIterator[FakeBoard]:
        self.opened.append((info.serial, interface))
        if self.busy:
            raise DeviceBusy("another process has the board's interface")
        await trio.lowlevel.checkpoint()
        yield self.board

    def install(self, patch: Patch) -> None:
        for module in (board, serving, session_board):
            patch(module, "choose", self.choose)
        for module in (board, session_board, doctor, health):
            patch(module, "open_client", self.open_client)
        for module in (device, doctor):
            patch(module, "find_devices", self.find_devices)
        patch(serving, "PersistentSession", lambda serial, _interface: FakeSession(self, serial))


def _make_cable(kind: str) -> FakeCable:
    match kind:
        case "none":
            return FakeCable()
        case "several":
            return FakeCable("a1", "b2")
        case "away":
            cable = FakeCable(missing=NoDevice("no board is attached: plug it in"))
            cable.board.problem = cable.missing
            cable.board.failure = cable.missing
            return cable
        case "ailing":
            cable = FakeCable("a1")
            cable.board.set_health(AILING)
            return cable
    return FakeCable("a1")


if __name__ == "__main__":
    _make_cable(os.environ.get("TEZSIGN_FAKE", "")).install(setattr)
    sys.exit(cli.main())
