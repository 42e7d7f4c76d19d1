"""Tells systemd, where it started us, that `tezsign run` serves, what it waits for, and that it
still goes on.

The watchdog is fed only by a round through the tasks that a baker needs: the session's next turn,
then a connection of our own through the HTTP listener. Without NOTIFY_SOCKET nothing is done. A
message is one datagram and never waits. One of the tasks of `host.serving`.
Source: sd_notify(3), systemd.service(5) (WatchdogSec=).
"""

import logging
import os
import socket
from collections.abc import Mapping
from typing import Final, Protocol

import trio

from host.errors import HostError

__all__ = ["Heart", "ServiceManager", "Voice"]

logger = logging.getLogger(__name__)

_SOCKET_VARIABLE: Final = "NOTIFY_SOCKET"
_PAUSE_S: Final = 5.0
"""With a turn of the session, at most 30 s, this stays well below WatchdogSec=60."""


class Heart(Protocol):
    """The session with the board."""

    @property
    def problem(self) -> HostError | None: ...
    @property
    def serial(self) -> str | None: ...
    async def wait_turn(self) -> None: ...


class Voice(Protocol):
    """The HTTP server."""

    async def beat(self) -> None: ...


class ServiceManager:
    """systemd, or nobody."""

    def __init__(self, environment: Mapping[str, str] = os.environ) -> None:
        path = environment.get(_SOCKET_VARIABLE, "")
        self._address = f"\0{path[1:]}" if path.startswith("@") else path

    async def follow(self, heart: Heart, voice: Voice) -> None:
        """Says that we serve, and goes on saying so; runs until it is cancelled."""
        if not self._address:
            return
        self._tell(f"READY=1\nSTATUS={_describe(heart)}")
        while True:
            await heart.wait_turn()
            try:
                await voice.beat()
            except OSError as error:
                logger.warning("nothing listens for the baker", extra={"reason": str(error)})
            else:
                self._tell(f"WATCHDOG=1\nSTATUS={_describe(heart)}")
            await trio.sleep(_PAUSE_S)

    def say_stopping(self) -> None:
        if self._address:
            self._tell("STOPPING=1")

    def _tell(self, message: str) -> None:
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
                sender.setblocking(False)
                sender.sendto(message.encode(), self._address)
        except OSError as error:
            logger.warning("systemd has not got a message", extra={"reason": str(error)})


def _describe(heart: Heart) -> str:
    problem = heart.problem
    text = f"serving board {heart.serial}" if problem is None else f"no board: {problem}"
    return " ".join(text.split())
