"""Signing load: as a baker's requests come, one place after the other, each until it is signed.

Owns what counts as a right end of a request: a signature that the ledger agrees with, or an error
that says what is the matter, after which the same payload is asked again. Runs beside the faults
that a scenario makes.
"""

from collections.abc import Awaitable, Callable, Iterator
from itertools import count
from math import inf
from typing import Final

import trio

from broker.messages import ErrorCode
from host.client import Client
from host.errors import BadAnswer, DeviceUnavailable, HostError, Refused
from tests.faults.findings import Findings
from tests.faults.ledger import Ledger, Place, Question, ask_at

__all__ = ["ANSWER_S", "Load", "Sign", "name_error", "places_from"]

Sign = Callable[[Question], Awaitable[bytes]]

ANSWER_S: Final = 5.0  # as long as `tezsign run` waits
_PAUSE_S: Final = 0.05
_PATIENCE_S: Final = 90.0
_CHECKED_AGAIN: Final = 10

# What a board that is being disturbed may answer; any other refusal of a right payload is wrong.
_MAY_REFUSE: Final = frozenset({ErrorCode.BUSY, ErrorCode.KEY_LOCKED})


def places_from(address: str, kind: str, level: int) -> Iterator[Place]:
    """One place after the other, as the chain has them."""
    return (Place(address=address, kind=kind, level=each) for each in count(level))


def name_error(error: Exception) -> str | None:
    """Returns what to call it in the table; None for what must not be the end of a request."""
    match error:
        case Refused(code=code):
            return f"code {code}" if code in _MAY_REFUSE else None
        case BadAnswer():
            return None
        case HostError() if str(error):
            return type(error).__name__
        case trio.TooSlowError():
            return "no answer in time"
        case _:
            return None


class Load:
    """Asks for one place after the other; `run` any number of these at the same time."""

    def __init__(self, client: Client, ledger: Ledger, findings: Findings) -> None:
        self._client = client
        self._ledger = ledger
        self._findings = findings
        self._last_new_s = -inf
        self._answered = trio.lowlevel.ParkingLot()

    async def run(self, places: Iterator[Place]) -> None:
        """Until it is cancelled."""
        for number, place in enumerate(places):
            question = ask_at(place)
            started_s = trio.current_time()
            was_disturbed = await self._sign(question)
            self._last_new_s = trio.current_time()
            self._answered.unpark_all()
            self._findings.worst("longest wait for a signature, s", self._last_new_s - started_s)
            if was_disturbed or number % _CHECKED_AGAIN == 0:
                await self._sign(question)
                self._findings.count("asked again, same signature")

    async def wait_new(self, after_s: float) -> float:
        """Returns when the first new place was signed after this moment."""
        with trio.fail_after(_PATIENCE_S):
            while self._last_new_s <= after_s:
                await self._answered.park()
        return self._last_new_s

    async def _sign(self, question: Question) -> bool:
        """Returns whether it took more than one request."""
        give_up_s = trio.current_time() + _PATIENCE_S
        was_disturbed = False
        while True:
            try:
                with trio.fail_after(ANSWER_S):
                    place = question.place
                    signature = await self._client.sign(place.address, question.payload)
                break
            except (HostError, trio.TooSlowError) as error:
                was_disturbed = True
                self._note_error(error)
                if trio.current_time() > give_up_s:
                    raise AssertionError(f"never signed: {question.place}") from error
            await trio.sleep(_PAUSE_S)
        if wrong := self._ledger.enter(question, signature):
            self._findings.fail(wrong)
        self._findings.count("signatures")
        return was_disturbed

    def _note_error(self, error: Exception) -> None:
        name = name_error(error)
        self._findings.check(name is not None, f"a request ended with {error!r}")
        kind = "unavailable" if isinstance(error, DeviceUnavailable) else "other"
        self._findings.count(f"clear errors ({kind}): {name}")
