"""A block that only one task at a time may be in; a second one is refused, never queued."""

from typing import Final, final

import trio

__all__ = ["Exclusive"]


@final
class Exclusive:
    """Guards one direction of an endpoint: two tasks in it would take each other's bytes."""

    __slots__ = ("_held", "_message")

    def __init__(self, message: str) -> None:
        self._message: Final = message
        self._held = False

    def __enter__(self) -> None:
        if self._held:
            raise trio.BusyResourceError(self._message)
        self._held = True

    def __exit__(self, *_: object) -> None:
        self._held = False
