"""A pseudo-terminal for a child, and what it shows; both ends are closed on every path."""

import errno
import os
import pty
import select
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from tests.process.child import Child

__all__ = ["TerminalChild", "open_on_terminal"]

_CHUNK_BYTES: Final = 64 * 1024


class TerminalChild:
    """A child and the controller's end of its terminal. Made by `open_on_terminal`."""

    def __init__(self, child: Child, controller: int) -> None:
        self.child = child
        self._controller = controller

    def read_until(self, text: str, limit_s: float) -> str:
        """Returns what was shown, up to a piece that completes `text`, or up to the end.

        Raises:
            TimeoutError: neither came.
        """
        shown = b""
        give_up_s = time.monotonic() + limit_s
        while not text or text not in shown.decode(errors="replace"):
            remaining_s = max(0.0, give_up_s - time.monotonic())
            if not select.select([self._controller], [], [], remaining_s)[0]:
                raise TimeoutError(f"the terminal shows {shown!r}")
            chunk = self._read()
            if not chunk:
                break
            shown += chunk
        return shown.decode(errors="replace")

    def read_all(self, limit_s: float) -> str:
        """Returns what is shown until the last program has closed the terminal."""
        return self.read_until("", limit_s)

    def _read(self) -> bytes:
        try:
            return os.read(self._controller, _CHUNK_BYTES)
        except OSError as error:
            if error.errno != errno.EIO:  # Linux: nobody has the other end open any more
                raise
            return b""


@contextmanager
def open_on_terminal(
    command: Sequence[str | Path],
    *,
    environment: Mapping[str, str] | None = None,
    folder: Path | None = None,
) -> Iterator[TerminalChild]:
    """The command with a terminal as input and output, for the time of the block."""
    controller, terminal = pty.openpty()
    try:
        try:
            child = Child(
                command,
                environment=environment,
                folder=folder,
                stdin=terminal,
                stdout=terminal,
                stderr=subprocess.STDOUT,
            )
        finally:
            os.close(terminal)
        with child:
            yield TerminalChild(child, controller)
    finally:
        os.close(controller)
