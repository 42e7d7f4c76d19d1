"""The load: signatures over HTTP without a pause, and beside them all that a year may bring.

Signers use interface 0 through `tezsign run`; one manager at a time uses interface 1: sessions with
status, a key locked and unlocked, junk. The cable is pulled in between. Failures are counted by
name, not raised: the verdict knows which may be.
"""

import secrets
import struct
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Final, Never

import trio

from broker.contract import INTERFACE_MANAGE, VENDOR_ID
from host.discover import choose
from host.errors import HostError
from host.session import open_client
from tests.host.http_client import exchange, octez_post
from tests.kernel.registrar_board import CONFIGFS
from tests.kernel.usbfs import UsbHost, find_device
from tests.payloads import attestation, preattestation

__all__ = ["Load"]

_ANSWER_S: Final = 20.0
_PAUSE_AFTER_FAILURE_S: Final = 0.05
_AWAY_S: Final = 0.2
_UNLOCK_PAUSE_S: Final = 20.0  # the throttle allows five in 30 s
_JUNK_BYTES: Final = 2000
_HALF_FRAME: Final = struct.pack("<BB16sI", 0x56, 1, bytes(16), 1000)

_ENOUGH: Final = {"signed": 100, "status": 4, "unlock": 1, "junk": 4, "unplugged": 12}

Payload = Callable[[str, int, int], bytes]


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What goes on at the same time.

    Args:
        address: the key that signs; the one called `spare` is locked and unlocked.
        unplug_period_s: from one pulled cable to the next.
        manage_period_s: from one session on interface 1 to the next.
    """

    port: int
    address: str
    spare: str
    passphrase: bytes
    unplug_period_s: float
    manage_period_s: float
    counts: Counter[str] = field(default_factory=Counter)
    _cable: trio.Lock = field(default_factory=trio.Lock)
    _signed: trio.lowlevel.ParkingLot = field(default_factory=trio.lowlevel.ParkingLot)

    def has_done_enough(self) -> bool:
        """Whether each thing was done so often that a leak of one each time would show."""
        return all(self.counts[name] >= least for name, least in _ENOUGH.items())

    async def run(self) -> Never:
        """Until it is cancelled."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._sign, attestation)
            nursery.start_soon(self._sign, preattestation)
            nursery.start_soon(self._manage)
            nursery.start_soon(self._unplug)
        raise AssertionError("the load has no end of its own")

    async def _sign(self, payload: Payload) -> None:
        """One request after the other; each kind has its marks, so the two don't meet."""
        for level in _count_from(1):
            request = octez_post(self.address, payload("tz4", level, 0), self.port)
            outcome = "no answer"
            with trio.move_on_after(_ANSWER_S):
                answer = await exchange(self.port, [request])
                outcome = "closed" if answer is None else str(answer.status)
            if outcome == "200":
                self.counts["signed"] += 1
                self._signed.unpark_all()
            else:
                self.counts[f"sign failed: {outcome}"] += 1
                await trio.sleep(_PAUSE_AFTER_FAILURE_S)

    async def _manage(self) -> None:
        next_unlock_s = trio.current_time()
        while True:
            await trio.sleep(self.manage_period_s)
            is_unlocking = trio.current_time() >= next_unlock_s
            await self._hold_session(unlocks=is_unlocking)
            if is_unlocking:
                next_unlock_s = trio.current_time() + _UNLOCK_PAUSE_S
            try:
                await trio.to_thread.run_sync(_send_junk)
                self.counts["junk"] += 1
            except (OSError, ValueError) as error:
                self.counts[f"junk failed: {type(error).__name__}"] += 1

    async def _hold_session(self, *, unlocks: bool) -> None:
        try:
            with trio.fail_after(_ANSWER_S):
                board = await trio.to_thread.run_sync(choose, None)
                async with open_client(board, INTERFACE_MANAGE) as client:
                    await client.status()
                    self.counts["status"] += 1
                    if unlocks:
                        async with self._cable:  # the board would go on, but not tell us
                            await client.lock((self.spare,))
                            await client.unlock(self.passphrase, (self.spare,))
                            self.counts["unlock"] += 1
        except (HostError, trio.TooSlowError) as error:
            self.counts[f"session failed: {type(error).__name__}"] += 1

    async def _unplug(self) -> None:
        """Out and in again, each time right after a signature, so that there was one in between."""
        gadget = trio.Path(CONFIGFS / "UDC")
        controller = (await gadget.read_text()).strip()
        while True:
            await trio.sleep(self.unplug_period_s)
            with trio.move_on_after(_ANSWER_S):
                await self._signed.park()
            async with self._cable:
                await gadget.write_text("\n")
                await trio.sleep(_AWAY_S)
                await gadget.write_text(f"{controller}\n")
            self.counts["unplugged"] += 1


def _count_from(start: int) -> Iterator[int]:
    while True:
        yield start
        start += 1


def _send_junk() -> None:
    """Random bytes, then the start of a frame whose rest never comes."""
    host = UsbHost(find_device(VENDOR_ID), interface=INTERFACE_MANAGE, timeout_s=1.0)
    try:
        host.write(secrets.token_bytes(1 + secrets.randbelow(_JUNK_BYTES)))
        host.write(_HALF_FRAME + bytes([_parity(_HALF_FRAME)]))
    finally:
        host.close()


def _parity(header: bytes) -> int:
    parity = 0
    for byte in header:
        parity ^= byte
    return parity
