"""Keeps a task of the daemon running: whatever it fails with, it is started again after a delay.

Only the caller's cancellation ends it. A failure is logged here, once. An error that we know (the
link, the system) is a warning: we recovered. Anything else is a bug; its text stays out of the log,
because it may quote a request. Called by `gadget.daemon`.
"""

import logging
import traceback
from collections.abc import Awaitable, Callable, Iterator
from pathlib import PurePath
from typing import Final, Never

import trio

from broker.errors import BrokerError
from gadget.errors import GadgetError, PartStuckError
from gadget.part import Part
from gadget.restart_delay import RestartDelay

__all__ = ["keep_running"]

_KNOWN: Final = (BrokerError, GadgetError, OSError)

logger = logging.getLogger(__name__)


async def keep_running(part: Part, run: Callable[[Part], Awaitable[object]]) -> Never:
    """Runs `run(part)` for ever; that it returns is a failure like any other."""
    delay = RestartDelay()
    try:
        while True:
            await _run_once(part, run, delay)
            part.restarts += 1
    finally:
        part.status = "stopped"


async def _run_once(
    part: Part, run: Callable[[Part], Awaitable[object]], delay: RestartDelay
) -> None:
    """Returns after a failure and the pause that follows from it."""
    started_s = trio.current_time()
    part.status = "running"
    pause_s = 0.0
    try:
        await _run_until_failure(part, run)
    except* Exception as group:  # noqa: BLE001 - whatever it is, the daemon goes on
        pause_s = delay.after_run(trio.current_time() - started_s)
        part.status = f"starting again in {pause_s:g} s"
        _log_failure(part, group, delay.failures, pause_s)
    part.beat(pause_s)
    await trio.sleep(pause_s)


async def _run_until_failure(part: Part, run: Callable[[Part], Awaitable[object]]) -> Never:
    with trio.CancelScope() as scope:
        part.cancel_run = scope.cancel
        await run(part)
    if scope.cancelled_caught:
        raise PartStuckError("it has shown no sign of life")
    raise GadgetError("it has ended by itself")


def _log_failure(
    part: Part, group: BaseExceptionGroup[Exception], failures: int, pause_s: float
) -> None:
    leaves = list(_leaves(group))
    is_bug = not all(isinstance(leaf, _KNOWN) for leaf in leaves)
    fields = {
        "part": part.name,
        "reasons": "; ".join(_describe(leaf) for leaf in leaves),
        "failures": failures,
        "pause_s": pause_s,
    }
    if is_bug:
        part.note_bug(str(fields["reasons"]))
    level = logging.ERROR if is_bug else logging.WARNING
    logger.log(level, "part failed, starting again", extra=fields)


def _leaves(group: BaseExceptionGroup[Exception]) -> Iterator[Exception]:
    for error in group.exceptions:
        if isinstance(error, BaseExceptionGroup):
            yield from _leaves(error)
        else:
            yield error


def _describe(error: Exception) -> str:
    name = type(error).__name__
    if isinstance(error, _KNOWN):
        return f"{name}: {error}"
    frames = traceback.extract_tb(error.__traceback__)
    place = f"{PurePath(frames[-1].filename).name}:{frames[-1].lineno}" if frames else "unknown"
    return f"{name} at {place}"
