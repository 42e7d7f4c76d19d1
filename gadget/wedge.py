"""Recognises a wedged USB controller by evidence. Pure: time and counts are passed in.

On dwc2 (Raspberry Pi) a controller can stop moving bulk data for good while control requests are
still answered; only taking the board off the bus and back helps. A host that merely stops reading,
is idle or has left must never be taken for that, so the evidence is: a host that has claimed an
interface announces a session (docs/protocol.md), which it opens with an OUT transfer; no OUT
transfer completes; and so again, and each time for some seconds. Used by `gadget.ready`.
"""

from typing import Final, final

__all__ = ["WedgeEvidence"]

# How long an announced transfer may take. A host gives up on its session after 3 s.
_DUE_S: Final = 3.0
_ANNOUNCEMENTS: Final = 2
# Who has announced nothing for so long is not there any more, and what it left is no evidence.
_HOST_IS_THERE_S: Final = 30.0


@final
class WedgeEvidence:
    """What has been announced since OUT transfers last went through.

    `transfers` is in each call how many OUT transfers have completed, on all endpoints, since any
    fixed point in time.
    """

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        self._transfers: int | None = None
        self._count = 0
        self._counted_s = 0.0
        self._latest_s = 0.0

    def announce(self, now_s: float, transfers: int) -> None:
        """A host has claimed an interface and is about to send."""
        if not self.is_open(now_s, transfers):
            self.clear()
            self._transfers = transfers
        # Several before the first transfer was due count once. What comes after enough of them
        # puts nothing off: a host tries again every three or four seconds.
        is_due = not self._count or now_s - self._counted_s >= _DUE_S
        if is_due and self._count < _ANNOUNCEMENTS:
            self._count += 1
            self._counted_s = now_s
        self._latest_s = now_s

    def is_open(self, now_s: float, transfers: int) -> bool:
        """Whether something was announced and has not come, and the host may still be there."""
        return transfers == self._transfers and now_s - self._latest_s <= _HOST_IS_THERE_S

    def is_wedged(self, now_s: float, transfers: int) -> bool:
        return (
            self.is_open(now_s, transfers)
            and self._count >= _ANNOUNCEMENTS
            and now_s - self._counted_s >= _DUE_S
        )
