"""How long things took in the last hour: counts in buckets, and nothing else is kept. Pure.

`add` is on the path of a signature: a few additions of integers, no list grows. The owner calls
`turn` each `SLOT_S`, and the eldest part of the hour is forgotten. A bucket is a fifth wide, so a
quantile is told to within that; the greatest time is exact.
"""

from collections import deque
from dataclasses import dataclass
from typing import Final, final

__all__ = ["SLOTS", "SLOT_S", "LatencyFigures", "LatencyMeter"]

SLOT_S: Final = 300.0
SLOTS: Final = 12
# Four buckets for each doubling of microseconds; the last one takes what is over two minutes.
_PER_OCTAVE: Final = 4
_OCTAVES: Final = 28
_BUCKETS: Final = _PER_OCTAVE * _OCTAVES
_LAST: Final = _BUCKETS - 1
_TOP_US: Final = (1 << (_OCTAVES - 1)) - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class LatencyFigures:
    """Of the last hour. All times are 0 where `count` is."""

    count: int
    p50_ms: float
    p95_ms: float
    p99_ms: float
    max_ms: float


@final
class LatencyMeter:
    """Twelve slots of five minutes, of which one takes what is new. 12 KiB."""

    __slots__ = ("_counts", "_longest_s", "_past", "total")

    def __init__(self) -> None:
        self.total = 0  # since the start
        self._counts = [0] * _BUCKETS
        self._longest_s = 0.0
        self._past: deque[tuple[list[int], float]] = deque(maxlen=SLOTS - 1)

    def add(self, seconds: float) -> None:
        self.total += 1
        self._counts[_bucket(seconds)] += 1
        self._longest_s = max(self._longest_s, seconds)

    def turn(self) -> None:
        """Five minutes are over."""
        self._past.append((self._counts, self._longest_s))
        self._counts = [0] * _BUCKETS
        self._longest_s = 0.0

    def figures(self) -> LatencyFigures:
        slots = [*self._past, (self._counts, self._longest_s)]
        counts = [sum(column) for column in zip(*(counts for counts, _ in slots), strict=True)]
        longest_s = max(longest_s for _, longest_s in slots)
        p50, p95, p99 = (_quantile_ms(counts, share, longest_s) for share in (0.5, 0.95, 0.99))
        return LatencyFigures(
            count=sum(counts),
            p50_ms=p50,
            p95_ms=p95,
            p99_ms=p99,
            max_ms=round(longest_s * 1000, 3),
        )


def _bucket(seconds: float) -> int:
    us = int(seconds * 1e6)
    if us < _PER_OCTAVE:
        return max(0, us)
    if us > _TOP_US:
        return _LAST
    octave = us.bit_length()
    return octave * _PER_OCTAVE - 8 + (us >> (octave - 3)) % _PER_OCTAVE


def _upper_us(bucket: int) -> int:
    """Returns the first microsecond that is not in the bucket any more."""
    if bucket < _PER_OCTAVE:
        return bucket + 1
    octave, quarter = divmod(bucket + 8, _PER_OCTAVE)
    return (_PER_OCTAVE + quarter + 1) << (octave - 3)


def _quantile_ms(counts: list[int], share: float, longest_s: float) -> float:
    """Returns the upper end of the bucket in which the quantile lies, or the greatest time."""
    wanted = share * sum(counts)
    if not wanted:
        return 0.0
    seen = 0
    for bucket, count in enumerate(counts):
        seen += count
        if seen >= wanted:
            return round(min(_upper_us(bucket) / 1000, longest_s * 1000), 3)
    return round(longest_s * 1000, 3)
