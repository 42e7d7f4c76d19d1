"""What a `tezsign run` counts of the baker's requests. In memory; time is passed in.

Around the signer's own answer (`MeteredSigner`): what is counted is what the baker was told. A
refusal to sign twice is no failure; that a board is away, locked or broken is one.
"""

from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Final, final

import trio

from host.metrics_text import Histogram
from host.signer_api import HttpRequest, HttpResponse

__all__ = ["MeteredSigner", "RunMeters"]

# From a fast board's signature to octez's own patience.
_BOUNDS_S: Final = (0.005, 0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.25, 0.5, 1.0, 2.5, 5.0)
_REASONS: Final = {
    400: "bad_request",
    401: "not_authenticated",
    403: "locked_or_forbidden",
    404: "unknown_key",
    409: "watermark",
    503: "board_away",
    504: "board_silent",
}
_FAILED: Final = "failed"
_MISSED: Final = frozenset({"locked_or_forbidden", "board_away", "board_silent", _FAILED})


@final
class RunMeters:
    """Since the start of the process.

    Attributes:
        first_session_s: how long after the start the board's first session was up; None: not yet.
        first_signature_s: likewise of the first signature.
    """

    def __init__(self) -> None:
        self.started_s = trio.current_time()
        self.first_session_s: float | None = None
        self.first_signature_s: float | None = None
        self.signed = 0
        self.missed = 0
        self.consecutive_failures = 0
        self.refusals: Counter[str] = Counter()
        self.times = Histogram(_BOUNDS_S)

    def note_session(self) -> None:
        if self.first_session_s is None:
            self.first_session_s = trio.current_time() - self.started_s

    def note_sign(self, status: int, seconds: float) -> None:
        """Takes the answer to a request for a signature."""
        if status == 200:
            self.signed += 1
            self.consecutive_failures = 0
            self.times.add(seconds)
            if self.first_signature_s is None:
                self.first_signature_s = trio.current_time() - self.started_s
            return
        reason = _REASONS.get(status, _FAILED)
        self.refusals[reason] += 1
        if reason in _MISSED:
            self.missed += 1
            self.consecutive_failures += 1


@final
class MeteredSigner:
    """Counts what passes through."""

    def __init__(
        self, answer: Callable[[HttpRequest], Awaitable[HttpResponse]], meters: RunMeters
    ) -> None:
        self._answer = answer
        self._meters = meters

    async def answer(self, request: HttpRequest) -> HttpResponse:
        if request.method != "POST" or not request.path.lstrip("/").startswith("keys/"):
            return await self._answer(request)
        begun_s = trio.current_time()
        response = await self._answer(request)
        self._meters.note_sign(response.status, trio.current_time() - begun_s)
        return response
