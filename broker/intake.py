"""The requests that this end takes in: queued, in progress, answered lately, dropped. Pure.

Holds the rules that let the other end repeat a request without its being done twice. Everything
kept is bounded. Used by `broker.exchange`; the workers of `broker.peer` do the work.
"""

from collections import deque
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Final

from broker.contract import (
    ANSWERED_KEEP_BYTES,
    ANSWERED_KEEP_COUNT,
    PAYLOAD_LIMIT_BYTES,
    QUEUE_LENGTH,
)
from broker.frame import Frame, FrameType, encode_frame

__all__ = ["DROPPED_KEEP_COUNT", "Intake", "Taken", "Work"]

# So many dropped requests are invited again when there is room; the others come by themselves.
DROPPED_KEEP_COUNT: Final = 128


class Taken(Enum):
    """What became of a request that came in."""

    QUEUED = auto()
    DROPPED = auto()
    REPEATED = auto()  # answered lately: the response goes out again
    IGNORED = auto()  # in progress


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """A request for a worker. `taken_s`: when it came in."""

    id: bytes
    payload: bytes = field(repr=False)
    taken_s: float = 0.0


class Intake:
    """The responder's memory. An id is remembered from its entry until its answer is displaced."""

    def __init__(
        self,
        *,
        queue_length: int = QUEUE_LENGTH,
        payload_limit: int = PAYLOAD_LIMIT_BYTES,
        keep_count: int = ANSWERED_KEEP_COUNT,
        keep_bytes: int = ANSWERED_KEEP_BYTES,
        dropped_count: int = DROPPED_KEEP_COUNT,
    ) -> None:
        if queue_length < 1:
            raise ValueError("a queue needs room for one request at least")
        self._queue_length = queue_length
        self._payload_limit = payload_limit
        self._keep_count = keep_count
        self._keep_bytes = keep_bytes
        self._dropped_count = dropped_count
        self._queue: deque[Work] = deque()
        self._in_progress: set[bytes] = set()  # queued or with a worker
        self._answered: dict[bytes, bytes] = {}  # id to response frame, eldest first
        self._answered_bytes = 0
        # Ids of frames to send, as dictionaries since those keep their order.
        self._accepts: dict[bytes, None] = {}
        self._repeats: dict[bytes, None] = {}
        self._invites: dict[bytes, None] = {}
        self._dropped: dict[bytes, None] = {}
        # Who was invited and has not come: a slot is kept for each, or those who come anew, and are
        # always nearer, would take every slot. Given up when the queue has run empty.
        self._offered: dict[bytes, None] = {}
        self.dropped = 0
        self.duplicates = 0
        self.queued_peak = 0

    @property
    def queued(self) -> int:
        return len(self._queue)

    @property
    def in_progress(self) -> int:
        """How many are with a worker."""
        return len(self._in_progress) - len(self._queue)

    @property
    def answered_bytes(self) -> int:
        return self._answered_bytes

    def take_request(self, frame: Frame, now_s: float = 0.0) -> Taken:
        request_id = frame.id
        if request_id in self._in_progress:
            self.duplicates += 1
            return Taken.IGNORED
        if request_id in self._answered:
            self.duplicates += 1
            self._repeats[request_id] = None
            return Taken.REPEATED
        self._invites.pop(request_id, None)
        self._offered.pop(request_id, None)
        if self._is_full():
            self._drop(request_id)
            return Taken.DROPPED
        self._dropped.pop(request_id, None)
        self._in_progress.add(request_id)
        self._accepts[request_id] = None
        self._queue.append(Work(id=request_id, payload=frame.payload, taken_s=now_s))
        self.queued_peak = max(self.queued_peak, len(self._queue))
        return Taken.QUEUED

    def _is_full(self) -> bool:
        # Accepts pile up while the link takes no bytes; then no more is taken in either.
        taken = len(self._queue) + len(self._offered)
        return taken >= self._queue_length or len(self._accepts) >= 2 * self._queue_length

    def _drop(self, request_id: bytes) -> None:
        self.dropped += 1
        if len(self._dropped) < self._dropped_count:
            self._dropped[request_id] = None

    def next_work(self) -> Work | None:
        """Returns the eldest request of the queue, whose slot is free then; None if it is empty."""
        if not self._queue:
            self._offered.clear()
            return None
        work = self._queue.popleft()
        if self._dropped:
            self._invite()
        return work

    def _invite(self) -> None:
        """Plans retries: as many of those that were dropped as there is room for now."""
        room = self._queue_length - len(self._queue) - len(self._offered)
        for request_id in [*self._dropped][: max(room, 0)]:
            del self._dropped[request_id]
            self._invites[request_id] = None
            self._offered[request_id] = None

    def finish(self, request_id: bytes, payload: bytes) -> bytes:
        """Keeps the answer for repeats and returns its frame.

        Raises:
            ValueError: the payload is over the limit; the request is still in progress.
        """
        response = Frame(FrameType.RESPONSE, request_id, payload)
        frame = encode_frame(response, payload_limit=self._payload_limit)
        self._in_progress.discard(request_id)
        self._answered[request_id] = frame
        self._answered_bytes += len(frame)
        while len(self._answered) > self._keep_count or self._answered_bytes > self._keep_bytes:
            self._displace()
        return frame

    def _displace(self) -> None:
        eldest = next(iter(self._answered))
        self._answered_bytes -= len(self._answered.pop(eldest))
        self._repeats.pop(eldest, None)

    def next_to_send(self) -> bytes | None:
        """Returns an accept, a repeated response or a retry that is due; None if none is."""
        if self._accepts:
            return self._plain(FrameType.ACCEPT, self._accepts)
        if self._repeats:
            request_id = next(iter(self._repeats))
            del self._repeats[request_id]
            return self._answered[request_id]
        if self._invites:
            return self._plain(FrameType.RETRY, self._invites)
        return None

    @property
    def has_to_send(self) -> bool:
        return bool(self._accepts or self._repeats or self._invites)

    @staticmethod
    def _plain(kind: FrameType, ids: dict[bytes, None]) -> bytes:
        request_id = next(iter(ids))
        del ids[request_id]
        return encode_frame(Frame(kind, request_id))

    def forget_session(self) -> None:
        """Drops what was kept for a host that has gone. Work that has begun goes on."""
        self._answered.clear()
        self._answered_bytes = 0
        for ids in (
            self._accepts,
            self._repeats,
            self._invites,
            self._dropped,
            self._offered,
        ):
            ids.clear()
