"""Waits for what another process or the kernel does, and tells nobody of."""

from collections.abc import Callable
from typing import Final

import trio

__all__ = ["wait_true"]

_LOOK_S: Final = 0.005
_PATIENCE_S: Final = 60.0


async def wait_true(condition: Callable[[], bool], patience_s: float = _PATIENCE_S) -> float:
    """Returns the moment at which it was seen to be true, 5 ms late at most.

    Raises: trio.TooSlowError.
    """
    with trio.fail_after(patience_s):
        while not condition():  # noqa: ASYNC110 - nobody sets an event
            await trio.sleep(_LOOK_S)
    return trio.current_time()
