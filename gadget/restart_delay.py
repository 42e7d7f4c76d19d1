"""How long to wait before a failed session is started again. Pure: time is passed in. Used by
`gadget.revival`."""

from typing import Final

__all__ = ["RestartDelay"]

_STEPS: Final = ((5, 1.0), (5, 5.0))
_LAST_S: Final = 30.0
_STABLE_S: Final = 10.0


class RestartDelay:
    """1 s five times, 5 s five times, then 30 s; forgotten after 10 s of stable running."""

    def __init__(self) -> None:
        self._failures = 0

    @property
    def failures(self) -> int:
        return self._failures

    def after_run(self, ran_s: float) -> float:
        """Notes a failure after `ran_s` seconds of running and returns the seconds to wait."""
        if ran_s >= _STABLE_S:
            self._failures = 0
        self._failures += 1
        counted = 0
        for count, delay_s in _STEPS:
            counted += count
            if self._failures <= counted:
                return delay_s
        return _LAST_S
