"""Boards without a cable for the commands: the device's own service and keyring, disks in memory.

The way from a command to a key is the real one but for USB and frames: messages are encoded,
decoded and checked by the interface's policy. `VirtualCable` puts such boards where the commands
look for real ones.
"""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Final

import trio

from broker.contract import INTERFACE_SIGN
from gadget.imageinfo import ImageInfo
from gadget.logs import LogBook
from gadget.rpc import Service
from gadget.signature_log import SignatureLog
from host.client import Client
from host.commands import board as board_command
from host.discover import DeviceInfo
from host.errors import NoDevice, SeveralDevices
from tests.gadget.keychain.board import Board

__all__ = ["VirtualBoard", "VirtualCable"]

Patch = Callable[[object, str, object], None]
_DEADLINE_S: Final = 30


class _Link:
    """`host.client.Caller`, straight into the service of one interface."""

    def __init__(self, board: Board, interface: int) -> None:
        self._service = Service(
            keyring=board.keyring,
            log_book=LogBook(),
            image=ImageInfo(version="", date=""),
            signatures=SignatureLog(),
        )
        self._interface = interface

    async def call(self, payload: bytes, *, repeatable: bool) -> bytes:  # noqa: ARG002
        return await self._service.answer(self._interface, payload)


class VirtualBoard(Board):
    """A board with a serial number, whose keys the host's code can ask for signatures."""

    def __init__(self, serial: str, *, seed: int = 0) -> None:
        super().__init__(seed=seed)
        self.serial = serial

    def client(self, interface: int) -> Client:
        return Client(_Link(self, interface))

    def ask_signature(self, address: str, payload: bytes) -> bytes:
        """As `tezsign run` asks. Raises: host.errors.Refused."""

        async def sign() -> bytes:
            with trio.fail_after(_DEADLINE_S):
                return await self.client(INTERFACE_SIGN).sign(address, payload)

        return trio.run(sign)


class VirtualCable:
    def __init__(self, *boards: VirtualBoard) -> None:
        self.boards = {board.serial: board for board in boards}

    def choose(self, serial: str | None) -> DeviceInfo:
        found = [known for known in self.boards if serial in (None, known)]
        if not found:
            raise NoDevice("no board is attached: plug it in")
        if len(found) > 1:
            raise SeveralDevices("several boards are attached: name one with --device")
        return DeviceInfo(
            serial=found[0],
            product="tezsign-gadget",
            bus=1,
            address=2,
            port_path="1-1",
            readable=True,
            ready=True,
            problem=None,
        )

    @asynccontextmanager
    async def open_client(self, info: DeviceInfo, interface: int) -> AsyncIterator[Client]:
        assert info.serial is not None
        await trio.lowlevel.checkpoint()
        yield self.boards[info.serial].client(interface)

    def install(self, patch: Patch) -> None:
        patch(board_command, "choose", self.choose)
        patch(board_command, "open_client", self.open_client)
