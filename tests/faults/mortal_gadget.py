"""The gadget daemon, which kills itself with SIGKILL in the phase that it was told.

The phase is written to a file in its run folder; on SIGUSR1 the daemon takes that file away, and is
armed. So a kill hits the moment it is meant for, and nothing is slowed down before. Never part of
the product.
"""

import os
import random
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from broker.frame import FrameReader, FrameType
from gadget.__main__ import main
from gadget.endpoint_aio import AioInEndpoint
from gadget.keychain.mark_store import MarkStore

__all__ = ["COMMAND", "ORDER", "PHASES"]

COMMAND: Final = (sys.executable, "-m", "tests.faults.mortal_gadget")
ORDER: Final = "die"
PHASES: Final = ("receiving", "writing marks", "answering")

_armed = ""


def _die_if(phase: str) -> None:
    if phase == _armed:
        os.kill(os.getpid(), signal.SIGKILL)


def _arm(_number: int, _frame: object) -> None:
    global _armed  # noqa: PLW0603 - a process has one death
    order = Path(os.environ["TEZSIGN_RUN"]) / ORDER
    _armed = order.read_text()
    order.unlink()


def _before_or_after(owner: type, name: str, phase: str, when: Callable[..., bool]) -> None:
    """Dies on the way into a method, or once it has returned."""
    method = getattr(owner, name)
    is_before = random.random() < 0.5  # noqa: S311

    def mortal(self: Any, *args: Any) -> Any:
        if is_before and when(*args):
            _die_if(phase)
        result = method(self, *args)
        if when(*args):
            _die_if(phase)
        return result

    setattr(owner, name, mortal)


def _die_while_answering() -> None:
    send = AioInEndpoint.send
    is_before = random.random() < 0.5  # noqa: S311

    async def mortal(self: AioInEndpoint, data: bytes) -> None:
        is_response = data[1] == FrameType.RESPONSE
        if is_before and is_response:
            _die_if("answering")
        await send(self, data)
        if is_response:
            _die_if("answering")

    setattr(AioInEndpoint, "send", mortal)  # noqa: B010 - mypy guards plain ones


if __name__ == "__main__":
    _before_or_after(FrameReader, "feed", "receiving", lambda *_: True)
    _before_or_after(MarkStore, "begin", "writing marks", lambda *_: True)
    _die_while_answering()
    signal.signal(signal.SIGUSR1, _arm)
    sys.exit(main())
