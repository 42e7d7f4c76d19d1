"""The guest's ends of the virtio-serial ports: where they are, and how to tell the host."""

import json
import os
from pathlib import Path

__all__ = ["Control", "open_port"]

_CLASS = Path("/sys/class/virtio-ports")


def open_port(name: str, flags: int) -> int:
    """Opens the port of that name."""
    for port in _CLASS.iterdir():
        if (port / "name").read_text().strip() == name:
            return os.open(f"/dev/{port.name}", flags | os.O_CLOEXEC)
    raise FileNotFoundError(f"no virtio port {name}")


class Control:
    """To the host: lines of JSON. From the host: bytes, each a signal number for the command."""

    def __init__(self) -> None:
        """Opens the port; only one process can have it."""
        self.descriptor = open_port("control", os.O_RDWR)

    def tell(self, **event: object) -> None:
        """Sends one line, whole."""
        line = json.dumps(event).encode() + b"\n"
        while line:
            line = line[os.write(self.descriptor, line) :]

    def receive_signals(self) -> bytes:
        """The signals that have come; call it when the descriptor is readable."""
        return os.read(self.descriptor, 64)
