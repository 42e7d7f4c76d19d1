"""The conversation of one end of the link: frames in, frames to send out, and when. Pure.

Joins the requester's side (`broker.calls`) and the responder's (`broker.intake`) with what belongs
to the link: keep-alive, the end of a silent session, counters. No I/O, no clock, no randomness: the
time and the source of ids are passed in. Called by `broker.peer`. Source: docs/protocol.md.
"""

from collections.abc import Callable
from enum import Enum, auto
from math import inf
from typing import Final

from broker.calls import CALLS_LIMIT, Call, Calls
from broker.contract import KEEP_ALIVE_S, PAYLOAD_LIMIT_BYTES, QUEUE_LENGTH, SILENT_SESSION_S
from broker.counters import Counters, FrameCounts
from broker.frame import NO_ID, Frame, FrameType, encode_frame
from broker.intake import Intake, Taken, Work

__all__ = ["Effect", "Exchange"]

_KEEP_ALIVE: Final = encode_frame(Frame(FrameType.KEEP_ALIVE, NO_ID))


class Effect(Enum):
    """What there is to do after a frame has come in.

    Whatever it is, `next_control` may have something and an infinite `deadline_s` may have ended.
    """

    NOTHING = auto()
    DUE = auto()  # `next_due` may have something
    WORK = auto()  # `next_work` has something
    DROPPED = auto()  # nothing, the request was dropped


class Exchange:
    """One end. It may ask, and it answers where `serves` is true."""

    def __init__(
        self,
        *,
        serves: bool,
        new_id: Callable[[], bytes],
        queue_length: int = QUEUE_LENGTH,
        calls_limit: int = CALLS_LIMIT,
        payload_limit: int = PAYLOAD_LIMIT_BYTES,
    ) -> None:
        self._serves = serves
        self._calls = Calls(new_id=new_id, limit=calls_limit, payload_limit=payload_limit)
        self._intake = Intake(queue_length=queue_length, payload_limit=payload_limit)
        self._frames_in = [0] * (len(FrameType) + 1)
        self._frames_out = [0] * (len(FrameType) + 1)
        self._unserved = 0
        self._keep_alive_s = inf  # when one is due; never before this end has used the link
        self._silent_s = inf  # when the session of the other end is over; inf if there is none

    # The requester's side.

    def open_call(self, payload: bytes, on_answer: Callable[[], None]) -> Call:
        """Makes a call; send its `frame` now, and `forget_call` in the end, whatever happens.

        Raises:
            Overload: too many calls wait already.
            ValueError: the payload is over the limit.
        """
        return self._calls.open(payload, on_answer)

    def forget_call(self, call: Call) -> None:
        """A late answer is ignored from now on."""
        self._calls.forget(call)

    # The responder's side.

    def next_work(self) -> Work | None:
        """Returns a request to work on, to be answered with `finish_work`; None if none waits."""
        return self._intake.next_work()

    def finish_work(self, work: Work, payload: bytes) -> bytes:
        """Returns the response frame to send. Raises ValueError for a payload over the limit."""
        return self._intake.finish(work.id, payload)

    # The link.

    def receive(self, frame: Frame, now_s: float) -> Effect:
        """Takes a frame of the other end."""
        kind = frame.type
        self._frames_in[kind] += 1
        if self._serves:
            self._silent_s = now_s + SILENT_SESSION_S
        if kind is FrameType.REQUEST:
            return self._take_request(frame, now_s)
        if kind is FrameType.RESPONSE:
            self._calls.take_response(frame)
        elif kind is FrameType.ACCEPT:
            self._calls.take_accept(frame.id, now_s)
        elif kind is FrameType.RETRY:
            self._calls.take_retry(frame.id)
            return Effect.DUE
        return Effect.NOTHING

    def _take_request(self, frame: Frame, now_s: float) -> Effect:
        if not self._serves:
            self._unserved += 1
            return Effect.DROPPED
        return _EFFECTS[self._intake.take_request(frame, now_s)]

    def next_control(self) -> bytes | None:
        """Returns an accept, a repeated answer or a retry to send now."""
        return self._intake.next_to_send()

    def next_due(self, now_s: float) -> bytes | None:
        """Returns a call to send again, or a keep-alive, whose time has come."""
        call = self._calls.next_due(now_s)
        if call is not None:
            return call.frame
        if now_s >= self._keep_alive_s:
            self._keep_alive_s = now_s + KEEP_ALIVE_S
            return _KEEP_ALIVE
        return None

    def mark_sent(self, frame: bytes, now_s: float, call: Call | None = None) -> None:
        """Tells that a frame has left whole; `call` where it was the first sending of one."""
        self._frames_out[frame[1]] += 1
        if call is not None:
            self._calls.mark_sent(call, now_s)
        if call is not None or self._keep_alive_s != inf:
            self._keep_alive_s = now_s + KEEP_ALIVE_S

    def expire(self, now_s: float) -> bool:
        """Returns True, once, when the other end has been silent for so long that it is forgotten.

        Its answers and invitations are gone then; drop what waits unparsed too.
        """
        if now_s < self._silent_s:
            return False
        self._silent_s = inf
        self._intake.forget_session()
        return True

    @property
    def has_control(self) -> bool:
        """Whether `next_control` has something."""
        return self._intake.has_to_send

    @property
    def deadline_s(self) -> float:
        """When to call `expire` and `next_due` again if nothing happens; inf for never."""
        return min(self._calls.deadline_s, self._keep_alive_s, self._silent_s)

    def counters(self, *, skipped_bytes: int) -> Counters:
        calls, intake = self._calls, self._intake
        return Counters(
            frames_in=_count_frames(self._frames_in),
            frames_out=_count_frames(self._frames_out),
            skipped_bytes=skipped_bytes,
            calls_waiting=len(calls),
            resends=calls.resends,
            retries=calls.retries,
            unknown_answers=calls.unknown_answers,
            dropped_requests=intake.dropped + self._unserved,
            duplicates=intake.duplicates,
            queued=intake.queued,
            queued_peak=intake.queued_peak,
            in_progress=intake.in_progress,
        )


_EFFECTS: Final = {
    Taken.QUEUED: Effect.WORK,
    Taken.DROPPED: Effect.DROPPED,
    Taken.REPEATED: Effect.NOTHING,
    Taken.IGNORED: Effect.NOTHING,
}


def _count_frames(counts: list[int]) -> FrameCounts:
    return FrameCounts(**{kind.name.lower(): counts[kind] for kind in FrameType})
