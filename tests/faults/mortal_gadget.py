"""The gadget daemon, which kills with SIGKILL in the phase that it was told: itself, or another.

Phase and process are written to a file in its run folder; on SIGUSR1 the daemon takes that file
away, and is armed for one kill. So a kill hits the moment it is meant for, half of the times before
the step and half after it, and nothing is slowed down before. Never part of the product.
"""

import os
import random
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, NamedTuple

from broker.frame import FrameReader, FrameType
from gadget.__main__ import main
from gadget.endpoint_aio import AioInEndpoint
from gadget.keychain.mark_store import MarkStore

__all__ = ["COMMAND", "PHASES", "write_order"]

COMMAND: Final = (sys.executable, "-m", "tests.faults.mortal_gadget")
PHASES: Final = ("receiving", "writing marks", "answering")
_ORDER: Final = "kill"


class _Order(NamedTuple):
    phase: str
    pid: int
    is_before: bool


_order: _Order | None = None


def write_order(run_folder: Path, phase: str, victim: int) -> Path:
    """Send SIGUSR1 to the gadget then; returns the file that is gone once it is armed."""
    file = run_folder / _ORDER
    file.write_text(f"{victim} {phase}")
    return file


def _arm(_number: int, _frame: object) -> None:
    global _order  # noqa: PLW0603 - a process has one order
    file = Path(os.environ["TEZSIGN_RUN"]) / _ORDER
    victim, phase = file.read_text().split(" ", 1)
    _order = _Order(phase, int(victim), is_before=random.random() < 0.5)  # noqa: S311
    file.unlink()


def _kill_if(phase: str, *, is_before: bool) -> None:
    global _order  # noqa: PLW0603 - likewise
    order = _order
    if order is not None and (order.phase, order.is_before) == (phase, is_before):
        _order = None
        os.kill(order.pid, signal.SIGKILL)


def _kill_around(owner: type, name: str, phase: str) -> None:
    """On the way into a method, or once it has returned."""
    method: Callable[..., Any] = getattr(owner, name)

    def deadly(self: Any, *args: Any) -> Any:
        _kill_if(phase, is_before=True)
        result = method(self, *args)
        _kill_if(phase, is_before=False)
        return result

    setattr(owner, name, deadly)


def _kill_around_answers() -> None:
    send = AioInEndpoint.send

    async def deadly(self: AioInEndpoint, data: bytes) -> None:
        is_response = data[1] == FrameType.RESPONSE
        if is_response:
            _kill_if("answering", is_before=True)
        await send(self, data)
        if is_response:
            _kill_if("answering", is_before=False)

    setattr(AioInEndpoint, "send", deadly)  # noqa: B010 - mypy guards plain ones


if __name__ == "__main__":
    _kill_around(FrameReader, "feed", "receiving")
    _kill_around(MarkStore, "begin", "writing marks")
    _kill_around_answers()
    signal.signal(signal.SIGUSR1, _arm)
    sys.exit(main())
