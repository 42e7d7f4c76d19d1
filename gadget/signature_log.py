"""One log line per signature, written after the answer has gone.

Formatting a line takes as long as everything else that Python does for a signature, so the path
only appends a tuple and wakes `run`, which has its turn when the answer is with the kernel: while
the host reads it, the board has nothing else to do. What a kill can lose is a line, never a mark.
"""

import logging
import time
from collections import deque
from typing import Final, Never

import trio

from broker.latency import LatencyMeter
from gadget.part import Part
from tezos.consensus import parse_payload
from tezos.keys import KeyType

__all__ = ["SignatureLog"]

_HELD_LINES: Final = 1024
_HEARTBEAT_S: Final = 10.0

logger = logging.getLogger(__name__)


class SignatureLog:
    """Holds what is not yet written; over 1,024 signatures the eldest are dropped and counted.

    Args:
        times: gets how long each signature took, when its line is written.
    """

    def __init__(self, times: LatencyMeter | None = None) -> None:
        self._times = times or LatencyMeter()
        self._held: deque[tuple[str, bytes, float, float]] = deque(maxlen=_HELD_LINES)
        self._dropped = 0
        self._writer = trio.lowlevel.ParkingLot()
        self.now = time.monotonic

    def note(self, address: str, payload: bytes, started_s: float) -> None:
        """Notes a signature that the keyring has released just now."""
        if len(self._held) == _HELD_LINES:
            self._dropped += 1
        self._held.append((address, payload, started_s, self.now()))
        self._writer.unpark()

    async def run(self, part: Part) -> Never:
        """Writes what has been noted, a line at a turn; on cancellation what is left."""
        try:
            while True:
                part.beat(_HEARTBEAT_S)
                await self._write_held(part)
                with trio.move_on_after(_HEARTBEAT_S):
                    await self._writer.park()
        finally:
            while self._held:
                self._write_one()

    async def _write_held(self, part: Part) -> None:
        while self._held:
            with part.working():
                self._write_one()
            # Several lines at once would hold up whoever asks meanwhile.
            await trio.lowlevel.checkpoint()
        self._tell_dropped()

    def _write_one(self) -> None:
        address, payload, started_s, ended_s = self._held.popleft()
        self._times.add(ended_s - started_s)
        signed = parse_payload(payload, KeyType(address[:3]))
        logger.info(
            "signed",
            extra={
                "key": address,
                "kind": signed.kind.name.lower(),
                "level": signed.level,
                "round": signed.round,
                "ms": round((ended_s - started_s) * 1000, 2),
            },
        )

    def _tell_dropped(self) -> None:
        if self._dropped:
            logger.warning("signature lines dropped", extra={"count": self._dropped})
            self._dropped = 0
