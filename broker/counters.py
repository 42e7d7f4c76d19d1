"""What a link has done so far, as a snapshot: values only."""

from dataclasses import dataclass

__all__ = ["Counters", "FrameCounts"]


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameCounts:
    """Frames in one direction, by type."""

    request: int
    response: int
    accept: int
    retry: int
    keep_alive: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Counters:
    """Since the link began; `calls_waiting`, `queued` and `in_progress` are of this moment."""

    frames_in: FrameCounts
    frames_out: FrameCounts
    skipped_bytes: int
    # As the requester.
    calls_waiting: int
    resends: int
    retries: int  # calls that a retry frame asked for again
    unknown_answers: int
    # As the responder.
    dropped_requests: int
    duplicates: int
    queued: int
    queued_peak: int
    in_progress: int
