"""systemd's end of the notify socket: keeps messages, and descriptors as its store does.

For quick tests; tests/systemd shows the same with the real one.
"""

import array
import os
import socket
from pathlib import Path

__all__ = ["Manager"]


class Manager:
    """`store` has the descriptors by name, the eldest first."""

    def __init__(self, path: Path) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self._socket.bind(str(path))
        self.store: list[tuple[str, int]] = []
        self.messages: list[str] = []

    def receive(self) -> list[str]:
        """Handles what has come, and returns it."""
        new = []
        while True:
            try:
                data, control, _, _ = self._socket.recvmsg(4096, socket.CMSG_SPACE(16))
            except BlockingIOError:
                break
            new.append(data.decode())
            self._handle(data.decode().splitlines(), control)
        self.messages += new
        return new

    def names(self) -> list[str]:
        self.receive()
        return [name for name, _ in self.store]

    def pass_on(self) -> dict[int, str]:
        """Copies for the next process, as sd_listen_fds_with_names has them."""
        self.receive()
        return {os.dup(fd): name for name, fd in self.store}

    def forget(self) -> None:
        """As when the unit is stopped."""
        self.receive()
        for _, fd in self.store:
            os.close(fd)
        self.store.clear()

    def close(self) -> None:
        self.forget()
        self._socket.close()

    def _handle(self, lines: list[str], control: list[tuple[int, int, bytes]]) -> None:
        name = next((ln.removeprefix("FDNAME=") for ln in lines if ln.startswith("FDNAME=")), "")
        received = [fd for _, _, data in control for fd in array.array("i", data)]
        if "FDSTORE=1" in lines:
            assert "FDPOLL=0" in lines
            (fd,) = received
            self.store.append((name, fd))
        if "FDSTOREREMOVE=1" in lines:
            for kept in [kept for kept in self.store if kept[0] == name]:
                os.close(kept[1])
                self.store.remove(kept)
