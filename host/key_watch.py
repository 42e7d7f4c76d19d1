"""Keeps the list of served keys as the board has it: asks at each session, and every 15 s.

Owns when the board is asked for its keys and which change is worth telling. Never chooses keys
itself (`host.key_directory`). One of the tasks of `host.serving`.
"""

import logging
from collections.abc import Sequence
from typing import Final, Protocol

import trio

from broker.messages import ErrorCode, KeyStatus
from host.errors import DeviceUnavailable, HostError, Refused
from host.key_directory import KeyDirectory
from host.remote_signer import ANSWER_S

__all__ = ["KeyWatch", "ListedBoard"]

logger = logging.getLogger(__name__)

_CHECK_S: Final = 15.0


class ListedBoard(Protocol):
    async def wait_up(self, after: int = 0) -> int: ...
    async def status(self) -> Sequence[KeyStatus]: ...


class KeyWatch:
    """`url`: where the keys are served, for the log."""

    def __init__(self, board: ListedBoard, directory: KeyDirectory, url: str) -> None:
        self._board = board
        self._directory = directory
        self._url = url
        self._announced = 0
        self._missing: tuple[str, ...] = ()

    async def run(self) -> None:
        """Runs until it is cancelled.

        Raises:
            Refused: a key that was asked for by name is not there at the start.
        """
        number = await self._board.wait_up()
        while True:
            listed = await self._list()
            if listed is not None:
                self._take(listed, number)
            with trio.move_on_after(_CHECK_S):
                number = await self._board.wait_up(number)

    async def _list(self) -> Sequence[KeyStatus] | None:
        """Returns None where there was no answer: the next look is never far."""
        try:
            with trio.fail_after(ANSWER_S):
                return await self._board.status()
        except DeviceUnavailable:
            return None
        except (HostError, trio.TooSlowError) as error:
            reason = str(error) or "no answer"
            logger.warning("the board does not list its keys", extra={"reason": reason})
            return None

    def _take(self, listed: Sequence[KeyStatus], number: int) -> None:
        missing = self._directory.load(listed)
        if missing and self._announced == 0:
            raise _unknown_names(missing, listed)
        if missing and missing != self._missing:
            logger.error("keys are not on the board any more", extra={"keys": " ".join(missing)})
        self._missing = missing
        if number == self._announced:
            return
        keys = " ".join(f"{key.alias}:{key.address}" for key in self._directory.keys)
        event = "the board is back" if self._announced else "listening"
        logger.info(event, extra={"url": self._url, "keys": keys})
        self._announced = number


def _unknown_names(missing: Sequence[str], listed: Sequence[KeyStatus]) -> HostError:
    known = ", ".join(key.id for key in listed) or "none"
    text = f"no key on the board is called {', '.join(missing)}; its keys: {known}"
    return Refused(ErrorCode.KEY_NOT_FOUND, text)
