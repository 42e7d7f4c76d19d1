"""The requests that this end has sent and waits for. Pure; the time is passed in, ids are injected.

Says when a request goes out again: with back-off until the other end accepts it, then slowly until
it is answered, since a lost response must not become a missed signature. Used by
`broker.exchange`.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from math import inf
from typing import Final

from broker.contract import BACKOFF_FIRST_S, BACKOFF_LIMIT_S, PAYLOAD_LIMIT_BYTES
from broker.errors import Overload
from broker.frame import NO_ID, Frame, FrameType, encode_frame

__all__ = ["CALLS_LIMIT", "Call", "Calls"]

# More than the board's workers and queue together: the rest of its refusals is our back-off.
CALLS_LIMIT: Final = 64


@dataclass(slots=True, eq=False)
class Call:
    """One request of ours. `answer` stays None until the response is here."""

    id: bytes
    frame: bytes = field(repr=False)
    on_answer: Callable[[], None]
    answer: bytes | None = field(default=None, repr=False)
    is_accepted: bool = False
    sent_s: float = inf
    resend_s: float = inf
    delay_s: float = BACKOFF_FIRST_S


class Calls:
    """All calls that wait, at most `limit` of them."""

    def __init__(
        self,
        *,
        new_id: Callable[[], bytes],
        limit: int = CALLS_LIMIT,
        payload_limit: int = PAYLOAD_LIMIT_BYTES,
    ) -> None:
        if limit < 1:
            raise ValueError("a link needs room for one call at least")
        self._new_id = new_id
        self._limit = limit
        self._payload_limit = payload_limit
        self._waiting: dict[bytes, Call] = {}
        self.resends = 0
        self.retries = 0
        self.unknown_answers = 0

    def __len__(self) -> int:
        return len(self._waiting)

    def open(self, payload: bytes, on_answer: Callable[[], None]) -> Call:
        """Makes a call, which the caller sends; then `mark_sent`, and `forget` in the end.

        Raises:
            Overload: too many wait already.
            ValueError: the payload is over the limit.
        """
        if len(self._waiting) >= self._limit:
            raise Overload(f"{self._limit} calls wait for an answer already")
        request_id = self._new_id()
        request = Frame(FrameType.REQUEST, request_id, payload)
        frame = encode_frame(request, payload_limit=self._payload_limit)
        call = Call(request_id, frame, on_answer)
        self._waiting[request_id] = call
        return call

    def mark_sent(self, call: Call, now_s: float) -> None:
        """Starts the back-off: the frame has left."""
        call.sent_s = now_s
        call.resend_s = now_s + (BACKOFF_LIMIT_S if call.is_accepted else call.delay_s)

    def forget(self, call: Call) -> None:
        self._waiting.pop(call.id, None)

    def take_response(self, frame: Frame) -> None:
        call = self._waiting.pop(frame.id, None)
        if call is None:
            self.unknown_answers += 1
            return
        call.answer = frame.payload
        call.on_answer()

    def take_accept(self, request_id: bytes, now_s: float) -> None:
        call = self._waiting.get(request_id)
        if call is not None and not call.is_accepted:
            call.is_accepted = True
            call.resend_s = now_s + BACKOFF_LIMIT_S

    def take_retry(self, request_id: bytes) -> None:
        """Sends the request again at once, or all that are not accepted where the id is zero.

        Not within the first back-off delay after it was sent last: that bounds what a stream of
        retries can make us send.
        """
        named = self._waiting.get(request_id)
        if named is not None:
            asked = [named]
        else:
            asked = [*self._waiting.values()] if request_id == NO_ID else []
        for call in asked:
            if not call.is_accepted and call.sent_s != inf:
                call.resend_s = min(call.resend_s, call.sent_s + BACKOFF_FIRST_S)
                self.retries += 1

    def next_due(self, now_s: float) -> Call | None:
        """Returns a call whose frame is to be sent again now, and plans the time after that."""
        for call in self._waiting.values():
            if call.resend_s <= now_s:
                call.delay_s = min(2 * call.delay_s, BACKOFF_LIMIT_S)
                self.resends += 1
                self.mark_sent(call, now_s)
                return call
        return None

    @property
    def deadline_s(self) -> float:
        """When `next_due` has something; inf if never."""
        return min((call.resend_s for call in self._waiting.values()), default=inf)
