"""What the daemon counts as it goes, for the health report. Values in memory, no I/O.

Whoever works adds to a meter; nobody reads one but `gadget.health.collector`. What is on the path
of a signature is a `LatencyMeter`, for its few additions; the rest is off it.
"""

from collections.abc import Callable
from typing import Final, final

from broker.codes import ErrorCode
from broker.counters import Counters
from broker.latency import SLOT_S, LatencyMeter
from broker.peer import PeerTimes
from gadget.health.rolling import RollingCounts
from gadget.occupancy import Occupancy

__all__ = ["Meters", "UsbMeter"]

_SESSION: Final = "session"


@final
class UsbMeter:
    """Since the start of the process."""

    def __init__(self) -> None:
        self.enables = 0
        self.disables = 0
        self.suspends = 0
        self.bounces = 0
        self._sessions = RollingCounts()

    def count_enable(self) -> None:
        self.enables += 1
        self._sessions.count(_SESSION)

    @property
    def sessions_last_hour(self) -> int:
        return self._sessions.last_hour(_SESSION)

    def turn(self) -> None:
        self._sessions.turn()


@final
class Meters:
    """Everything that is counted here, `others` beside it. `turn_if_due` keeps it to an hour.

    Attributes:
        total: from the decoded request to the released signature.
        peers: what the broker of each interface has counted in its session.
        endpoints: what the kernel has of the transfers of each interface, by direction.
    """

    def __init__(self) -> None:
        self.total: Final = LatencyMeter()
        self.peer_times: Final = PeerTimes(queue=LatencyMeter(), sending=LatencyMeter())
        self.rejections: Final = RollingCounts()
        self.usb: Final = UsbMeter()
        self.peers: Final[dict[int, Callable[[], Counters]]] = {}
        self.endpoints: Final[dict[int, Callable[[], dict[str, Occupancy]]]] = {}
        self._others: list[Callable[[], None]] = []
        self._turned_s: float | None = None

    def reject(self, code: int) -> None:
        self.rejections.count(ErrorCode(code).name.lower())

    def turn_also(self, *turns: Callable[[], None]) -> None:
        """Adds meters that are somebody else's."""
        self._others.extend(turns)

    def turn_if_due(self, now_s: float) -> None:
        """Call it each minute or so; forgets what is over an hour ago, in steps of five minutes."""
        if self._turned_s is None:
            self._turned_s = now_s
        while now_s - self._turned_s >= SLOT_S:
            self._turned_s += SLOT_S
            for meter in (self.total, *self.peer_times, self.rejections, self.usb):
                meter.turn()
            for turn in self._others:
                turn()
