"""Endpoint files that epoll takes: pipes and sockets, which stand in for FunctionFS in tests.

Plain non-blocking reads and writes. Behaves as `gadget.endpoint_aio` where a caller can tell,
except that such a file can end. Made by `gadget.endpoints`.
"""

import os
from typing import final

import trio

from broker.contract import OUT_TRANSFER_BYTES
from gadget.exclusive import Exclusive

__all__ = ["PollInEndpoint", "PollOutEndpoint"]


class _PollEndpoint:
    """A file descriptor that is closed once, with news for who waits on it."""

    def __init__(self, fd: int) -> None:
        self._fd = fd

    def _open_fd(self) -> int:
        if self._fd < 0:
            raise trio.ClosedResourceError
        return self._fd

    @property
    def occupancy(self) -> None:
        """Nothing is in flight between calls."""

    async def aclose(self) -> None:
        """Closes; other calls then get trio.ClosedResourceError."""
        if self._fd >= 0:
            fd, self._fd = self._fd, -1
            trio.lowlevel.notify_closing(fd)
            os.close(fd)
        await trio.lowlevel.cancel_shielded_checkpoint()


@final
class PollOutEndpoint(_PollEndpoint):
    """Host to device."""

    def __init__(self, fd: int) -> None:
        super().__init__(fd)
        self._receiving = Exclusive("another task receives from this endpoint")

    async def receive(self) -> bytes:
        """Returns the bytes that are there, one or more; b"" = end of file.

        Cancel: at once; nothing was read.
        """
        with self._receiving:
            await trio.lowlevel.checkpoint()
            while True:
                try:
                    return os.read(self._open_fd(), OUT_TRANSFER_BYTES)
                except BlockingIOError:
                    await trio.lowlevel.wait_readable(self._fd)


@final
class PollInEndpoint(_PollEndpoint):
    """Device to host."""

    def __init__(self, fd: int) -> None:
        super().__init__(fd)
        self._sending = Exclusive("another task sends to this endpoint")

    async def send(self, data: bytes) -> None:
        """Returns when the kernel has all of the data.

        Cancel: the rest of the data is never sent.
        """
        with self._sending:
            await trio.lowlevel.checkpoint()
            rest = memoryview(data)
            self._open_fd()
            while rest:
                try:
                    rest = rest[os.write(self._open_fd(), rest) :]
                except BlockingIOError:
                    await trio.lowlevel.wait_writable(self._fd)
