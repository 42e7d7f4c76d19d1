"""Has the controller taken off the bus and back, where the gadget has evidence of a wedge. I/O.

The registrar has no right to do it: it asks attach-gadget (builder/assets), which keeps a limit of
its own. `registrar.daemon` owns the one `Bouncer`.
"""

import logging
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

__all__ = ["BOUNCE_REQUEST", "PAUSE_S", "Bouncer"]

BOUNCE_REQUEST: Final = b"bounce"
# Re-binding every few seconds has killed controllers.
PAUSE_S: Final = 60.0

logger = logging.getLogger(__name__)


class Bouncer:
    """`path` is the datagram socket of attach-gadget."""

    def __init__(self, path: Path, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._path = path
        self._clock = clock
        self._next_s = clock()
        self.count = 0

    def ask(self) -> None:
        """Asks for a bounce, unless one was asked for in the last 60 s. Never waits."""
        now_s = self._clock()
        if now_s < self._next_s:
            left = {"left_s": round(self._next_s - now_s)}
            logger.warning("controller seems wedged again, too soon for a bounce", extra=left)
            return
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as sock:
                sock.sendto(BOUNCE_REQUEST, str(self._path))
        except OSError as error:
            reason = {"socket": str(self._path), "reason": error.strerror}
            logger.error("controller seems wedged, and nobody takes a bounce", extra=reason)  # noqa: TRY400
            return
        self._next_s = now_s + PAUSE_S
        self.count += 1
        logger.warning("controller seems wedged, bounce asked for", extra={"bounces": self.count})
