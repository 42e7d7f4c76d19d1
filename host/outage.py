"""A run of failed attempts to reach the board: how long it lasts, and what a person should check.

Pure; time is passed in. A board that starts again is away for some seconds and no reason for alarm,
so advice is given once an outage has lasted, and once in each. Called by `host.session`.
"""

from typing import Final

from host.errors import (
    DeviceBusy,
    DeviceSilent,
    HostError,
    NoPermission,
    NotReady,
    SeveralDevices,
    VersionMismatch,
)

__all__ = ["Outage", "advise"]

_ATTEMPTS: Final = 5
_LASTING_S: Final = 10.0

_NOT_REACHED: Final = (
    "check the cable (one that carries data), the port or hub, and the board's power;"
    " tezsign list-devices shows what is attached"
)
_ADVICE: Final[dict[type[HostError], str]] = {
    DeviceBusy: (
        "another process holds the board: end the other tezsign run, one board serves one"
    ),
    DeviceSilent: (
        "the board does not answer: try tezsign advanced usb-port-reset, then cut the board's power"
    ),
    NoPermission: (
        "this account may not use the board: install the udev rule, or run it as the account that"
        " the rule names"
    ),
    NotReady: (
        "the board's signer does not start: cut the board's power; if that does not help, look at"
        " its SD card"
    ),
    SeveralDevices: "several boards are attached: name one with --device",
    VersionMismatch: "board and host are of different versions: update the older one",
}


class Outage:
    """The attempts since the last session."""

    __slots__ = ("_attempts", "_is_advised", "_since_s")

    def __init__(self) -> None:
        self.end()

    def end(self) -> None:
        """A session is up."""
        self._attempts = 0
        self._since_s = 0.0
        self._is_advised = False

    def fail(self, now_s: float) -> bool:
        """Takes note of a failed attempt, and says whether to advise now."""
        if self._attempts == 0:
            self._since_s = now_s
        self._attempts += 1
        lasts = self._attempts >= _ATTEMPTS and now_s - self._since_s >= _LASTING_S
        if not lasts or self._is_advised:
            return False
        self._is_advised = True
        return True

    @property
    def attempts(self) -> int:
        return self._attempts


def advise(error: HostError) -> str:
    """Returns what to check where attempts keep failing like this."""
    return _ADVICE.get(type(error), _NOT_REACHED)
