"""A byte stream whose errors have been decided: it tries again with back-off, or it is lost.

Owns that decision, the back-off of each direction and the order of senders. Knows no frames, never
opens or closes the stream. Used by `broker.peer`.
"""

import logging
from typing import Final

import trio

from broker.backoff import Backoff
from broker.contract import BULK_PACKET_HIGH_SPEED, PARTIAL_FRAME_S
from broker.errors import Decision, LinkLost, classify
from broker.stream import ByteStream

__all__ = ["Link"]

logger = logging.getLogger(__name__)

# After a send that was cancelled or failed half-way, silence until the other end has given the part
# up: else it takes the beginning of the next frame for the rest of this one.
_TORN_S: Final = 2 * PARTIAL_FRAME_S
_ERRORS: Final = (OSError, LinkLost, trio.ClosedResourceError, trio.BrokenResourceError)


class Link:
    """Both directions of a stream. One task may receive, any number may send."""

    def __init__(self, stream: ByteStream) -> None:
        self._stream = stream
        self._send_lock = trio.Lock()
        self._sending = Backoff()
        self._receiving = Backoff()
        self._torn_until_s: float | None = None

    async def receive(self) -> bytes:
        """Waits for at least one byte, for ever if need be. Cancel: loses nothing.

        Raises:
            LinkLost: nothing will come any more.
        """
        while True:
            try:
                data = await self._stream.receive()
            except _ERRORS as error:
                problem = _decide("receive", error)
            else:
                if data:
                    if not self._receiving.is_fresh:
                        _recover("receive", self._receiving)
                    return data
                problem = "end of file"
            await _wait("receive", self._receiving, problem)

    async def send(self, data: bytes) -> None:
        """Sends all of it after those who came before, however often it takes.

        Raises:
            LinkLost: nothing can be sent any more.
        """
        try:
            self._send_lock.acquire_nowait()  # acquire() would give up this task's turn
        except trio.WouldBlock:
            await self._send_lock.acquire()
        try:
            while True:
                try:
                    await self._send_once(data)
                except _ERRORS as error:
                    problem = _decide("send", error)
                else:
                    break
                await _wait("send", self._sending, problem)
        finally:
            self._send_lock.release()
        if not self._sending.is_fresh:
            _recover("send", self._sending)

    async def _send_once(self, data: bytes) -> None:
        if self._torn_until_s is not None:
            await trio.sleep_until(self._torn_until_s)
            self._torn_until_s = None
        try:
            await self._stream.send(data)
        except BaseException:
            if len(data) > BULK_PACKET_HIGH_SPEED:  # one packet goes whole or not at all
                self._torn_until_s = trio.current_time() + _TORN_S
            raise


def _decide(direction: str, error: Exception) -> str:
    """Returns the name of a problem that may pass; raises LinkLost for any other."""
    if isinstance(error, LinkLost):
        raise error
    problem = type(error).__name__
    if isinstance(error, OSError):
        problem = error.strerror or problem
        if classify(error) is Decision.RETRY:
            return problem
    raise LinkLost(f"{direction}: {problem}") from error


async def _wait(direction: str, backoff: Backoff, problem: str) -> None:
    if backoff.is_fresh:
        logger.warning("link interrupted", extra={"direction": direction, "problem": problem})
    await trio.sleep(backoff.next_delay_s())


def _recover(direction: str, backoff: Backoff) -> None:
    backoff.reset()
    logger.info("link works again", extra={"direction": direction})
