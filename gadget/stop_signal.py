"""SIGTERM and SIGINT, the only things that end the daemon, and the limit on how long that takes.

With the signal a timer of the kernel starts, which nobody catches: 2 s later it ends the process,
whatever that hangs in: a clean-up that waits for hardware, a blocked event loop. No promise about
signatures needs the clean-up. Called by `gadget.daemon`.
"""

import contextlib
import logging
import signal
from collections.abc import Iterator
from signal import SIGALRM, SIGINT, SIGTERM
from types import FrameType
from typing import Final

import trio

__all__ = ["catch_stop_signals", "tell_slow_stop"]

_LIMIT_S: Final = 2.0
_SLOW_S: Final = 1.5

logger = logging.getLogger(__name__)


@contextlib.contextmanager
def catch_stop_signals() -> Iterator[trio.Event]:
    """Gives an event that is set once the process was told to stop."""
    told = trio.Event()
    trio_token = trio.lowlevel.current_trio_token()

    def stop(number: int) -> None:
        logger.info("told to stop", extra={"signal": signal.Signals(number).name})
        told.set()

    def on_signal(number: int, _frame: FrameType | None) -> None:
        if signal.getitimer(signal.ITIMER_REAL)[0] == 0:  # a second signal gives no more time
            signal.setitimer(signal.ITIMER_REAL, _LIMIT_S)
            trio_token.run_sync_soon(stop, number)

    before = {number: signal.signal(number, on_signal) for number in (SIGTERM, SIGINT)}
    before[SIGALRM] = signal.signal(SIGALRM, signal.SIG_DFL)
    try:
        yield told
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


async def tell_slow_stop(told: trio.Event) -> None:
    """Logs an error shortly before the timer ends the process; cancel it once all has ended."""
    await told.wait()
    await trio.sleep(_SLOW_S)
    logger.error("stop takes too long, the process is ended", extra={"limit_s": _LIMIT_S})
