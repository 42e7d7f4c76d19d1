"""The manager's end of a notify socket, to read what a daemon tells."""

import socket
import time
from pathlib import Path
from typing import Final

__all__ = ["NotifySocket"]

_MESSAGE_BYTES: Final = 4096


class NotifySocket:
    """Bound to `path`, which belongs into the daemon's NOTIFY_SOCKET."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(path))

    def close(self) -> None:
        self._socket.close()

    def read_all(self) -> list[str]:
        """Returns what has come since the last call, without waiting."""
        messages = []
        while (message := self._receive(0)) is not None:
            messages.append(message)
        return messages

    def wait_for(self, part: str, limit_s: float) -> str:
        """Returns the next message that has `part` in it, and forgets those before it."""
        deadline_s = time.monotonic() + limit_s
        while (message := self._receive(deadline_s - time.monotonic())) is not None:
            if part in message:
                return message
        raise AssertionError(f"no message with {part} within {limit_s} s")

    def wait_silent(self, silence_s: float, limit_s: float) -> None:
        """Returns once no WATCHDOG=1 has come for `silence_s`."""
        deadline_s = time.monotonic() + limit_s
        last_s = time.monotonic()
        while time.monotonic() - last_s < silence_s:
            assert time.monotonic() < deadline_s, "the watchdog is still fed"
            message = self._receive(last_s + silence_s - time.monotonic())
            if message is not None and "WATCHDOG=1" in message:
                last_s = time.monotonic()

    def _receive(self, limit_s: float) -> str | None:
        if limit_s < 0:
            return None
        self._socket.settimeout(limit_s)
        try:
            return self._socket.recv(_MESSAGE_BYTES).decode()
        except (BlockingIOError, TimeoutError):
            return None
