"""A task that does the same thing again and again. Stopped by cancellation."""

from collections.abc import Awaitable, Callable
from typing import Never

import trio

from gadget.part import Part

__all__ = ["run_periodically"]


async def run_periodically(
    part: Part, period_s: float, turn: Callable[[], Awaitable[None]]
) -> Never:
    """Runs `turn`, and again `period_s` after it has ended: two turns never overlap."""
    while True:
        part.beat(period_s)
        await turn()
        await trio.sleep(period_s)
