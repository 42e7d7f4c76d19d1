"""One verified session on one claimed interface, from the first to the last byte.

Owns the order: claim, start the broker, check by an echoed random token, traffic, end. Bytes of an
earlier session that come before the echo belong to no call of this one: the broker drops them. No
task is left behind. Never reconnects: that is `host.session`, which is who uses this.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

import trio

from broker.errors import LinkLost, Overload
from broker.messages import ErrorCode
from broker.peer import Peer
from broker.stream import ByteStream
from host import discover
from host.client import Client
from host.discover import DeviceInfo
from host.errors import DeviceGone, DeviceSilent, Refused
from host.usb_stream import UsbStream

__all__ = ["Connection", "Session", "connect_device", "connect_serial", "open_session"]

# A board that has just come back may be busy with its own start.
_VERIFY_TRIES: Final = 3
_VERIFY_TRY_S: Final = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Connection:
    """An interface that was claimed, and whose board it is. `serial` None: it could not be read."""

    serial: str | None
    stream: ByteStream


class Session:
    """The broker on a stream. Implements `host.client.Caller`."""

    def __init__(self, stream: ByteStream) -> None:
        self._peer = Peer(stream, handler=None)
        self._ended = trio.Event()
        self._reason = ""

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Carries the calls until the link ends."""
        try:
            await self._peer.run(task_status=task_status)
        except LinkLost as lost:
            self._reason = lost.reason
        finally:
            self._ended.set()

    async def call(self, payload: bytes, *, repeatable: bool) -> bytes:  # noqa: ARG002 - nothing to repeat it on
        try:
            return await self._peer.call(payload)
        except LinkLost as lost:
            raise DeviceGone(f"the link to the board was lost: {lost.reason}") from lost
        except Overload as error:
            raise Refused(ErrorCode.BUSY, "too many requests wait for the board") from error

    async def verify(self) -> None:
        """Returns once the board has echoed a token.

        Raises:
            DeviceSilent: it did not, in some seconds.
            BadAnswer, Refused: it answered, but not as a board does.
        """
        for _ in range(_VERIFY_TRIES):
            with trio.move_on_after(_VERIFY_TRY_S):
                await Client(self).ping()
                return
        raise DeviceSilent("the board is attached and does not answer: its signer may hang")

    async def wait_lost(self) -> None:
        """Raises DeviceGone once the link has ended."""
        await self._ended.wait()
        raise DeviceGone(f"the link to the board was lost: {self._reason}")


@asynccontextmanager
async def open_session(stream: ByteStream) -> AsyncIterator[Session]:
    """Verifies a session and keeps it for as long as the block lasts; closes the stream.

    Exceptions of the block pass through as they are, not in a group.

    Raises:
        DeviceSilent, DeviceGone, BadAnswer, Refused: the session could not be verified.
    """
    failure: Exception | None = None
    try:
        async with trio.open_nursery() as nursery:
            session = Session(stream)
            await nursery.start(lambda task_status: session.run(task_status=task_status))
            try:
                await session.verify()
                yield session
            except Exception as error:  # noqa: BLE001 - raised again, where no nursery wraps it
                failure = error
            nursery.cancel_scope.cancel()
    finally:
        await stream.aclose()
    if failure is not None:
        raise failure


async def connect_device(device: DeviceInfo, interface: int) -> Connection:
    """Claims an interface of this board.

    Raises:
        DeviceUnavailable: NoPermission, NotReady, VersionMismatch, DeviceBusy, DeviceGone.
    """
    claimed = await trio.to_thread.run_sync(discover.claim, device, interface)
    return Connection(serial=device.serial, stream=UsbStream(claimed))


async def connect_serial(serial: str | None, interface: int) -> Connection:
    """Finds the board with this serial number, or the only one where None, and claims it.

    Raises:
        DeviceUnavailable: as `connect_device`, or NoDevice.
        SeveralDevices: no serial number was given and there are several boards.
    """
    device = await trio.to_thread.run_sync(discover.choose, serial)
    return await connect_device(device, interface)
