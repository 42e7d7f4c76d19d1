"""How long to wait before the next try: doubling up to a limit, reset by a success. Pure."""

from broker.contract import BACKOFF_FIRST_S, BACKOFF_LIMIT_S

__all__ = ["Backoff"]


class Backoff:
    """The delays of one sequence of tries."""

    __slots__ = ("_first_s", "_limit_s", "_next_s")

    def __init__(
        self, *, first_s: float = BACKOFF_FIRST_S, limit_s: float = BACKOFF_LIMIT_S
    ) -> None:
        if not 0 < first_s <= limit_s:
            raise ValueError("a back-off needs 0 < first <= limit")
        self._first_s = first_s
        self._limit_s = limit_s
        self._next_s = first_s

    @property
    def is_fresh(self) -> bool:
        """True until the first delay, and after `reset`."""
        return self._next_s == self._first_s

    def next_delay_s(self) -> float:
        delay_s = self._next_s
        self._next_s = min(2 * delay_s, self._limit_s)
        return delay_s

    def reset(self) -> None:
        self._next_s = self._first_s
