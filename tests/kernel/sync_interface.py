"""One interface through pyusb's synchronous transfers: what the asynchronous ones are compared
with."""

from array import array
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from host import usb
from host.usb_stream import ClaimedInterface

__all__ = ["SyncInterface", "open_sync"]


class SyncInterface:
    """Both calls block."""

    def __init__(self, board: usb.OpenBoard, claimed: ClaimedInterface) -> None:
        self._backend, self._handle, self._claimed = board._backend, board._handle, claimed
        self._buffer = array("B", bytes(16 * 1024))

    def write(self, data: bytes) -> None:
        self._backend.bulk_write(
            self._handle, self._claimed.endpoint_out, 0, array("B", data), 1000
        )

    def read(self) -> int:
        return self._backend.bulk_read(
            self._handle, self._claimed.endpoint_in, 0, self._buffer, 1000
        )


@asynccontextmanager
async def open_sync(interface: int) -> AsyncIterator[SyncInterface]:
    (attached,) = usb.open_bus().find_boards()
    board = attached.open()
    claimed = board.claim(interface)
    yield SyncInterface(board, claimed)
    await claimed.release()
