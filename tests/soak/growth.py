"""How fast a series grows, and how sure that is. Pure.

Resident memory is no line with white noise around it: it stands still, steps when an arena or a
buffer is touched for the first time, and jumps for a second when a key derivation takes 64 MiB. So:

- Eight blocks instead of samples: with neighbours goes most of the dependence between them. Of each
  block counts the lower quartile. It lies near what is there when nothing goes on; spikes that fill
  up to three quarters of a block are gone.
- The slope is Theil and Sen's, the median of those between all pairs of blocks. One step hardly
  moves it where it would tilt a least-squares line.
- Its bounds are Sen's (1968), from the variance of Kendall's S without any assumed distribution.
  They take blocks for independent. Widening them by the blocks' autocorrelation (Hamed and Rao)
  changed nothing in simulation, so few points can't show it; fewer, longer blocks did. Nor could a
  bootstrap of eight points know more. test_growth.py simulates how often the bounds hold.
- Pages are counted whole. A flat series can't show less than one page in its length, so the bounds
  are widened by that.

Bounds are one-sided, 95 % each.
"""

import itertools
import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

__all__ = ["Growth", "Point", "floors", "measure_growth"]

Point = tuple[float, float]
"""Seconds, and a value."""

_BLOCKS: Final = 8
_BLOCK_SAMPLES: Final = 5
_Z_95: Final = 1.645
_HOUR_S: Final = 3600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Growth:
    """Units of the series for each hour.

    Args:
        lower, upper: one-sided bounds, 95 % each.
        length_s: of the series.
    """

    slope: float
    lower: float
    upper: float
    length_s: float


def measure_growth(points: Sequence[Point], *, step: float) -> Growth:
    """Args: step: the smallest change that the series can show, such as the size of a page.

    Raises: ValueError where there are not enough points.
    """
    blocks = _take_blocks(points)
    pairs = [
        (later - earlier) / (later_s - earlier_s)
        for number, (earlier_s, earlier) in enumerate(blocks)
        for later_s, later in blocks[number + 1 :]
    ]
    slopes = sorted(pairs)
    slope = statistics.median(slopes)
    spread = _Z_95 * math.sqrt(_variance_of_s(len(blocks)))
    below = max(0, math.floor((len(slopes) - spread) / 2) - 1)
    above = min(len(slopes) - 1, math.ceil((len(slopes) + spread) / 2))
    length_s = points[-1][0] - points[0][0]
    least = step / length_s
    return Growth(
        slope=slope * _HOUR_S,
        lower=min(slopes[below], slope - least) * _HOUR_S,
        upper=max(slopes[above], slope + least) * _HOUR_S,
        length_s=length_s,
    )


def _take_blocks(points: Sequence[Point]) -> list[Point]:
    """The lower quartiles of equal shares of the points, in order; each in the middle of its share.

    Raises: ValueError where there are not enough points.
    """
    if len(points) < _BLOCKS * _BLOCK_SAMPLES:
        raise ValueError(f"{len(points)} samples are too few to judge growth")
    return [
        (
            statistics.mean(at_s for at_s, _ in share),
            sorted(value for _, value in share)[len(share) // 4],
        )
        for share in _split(points, _BLOCKS)
    ]


def floors(points: Sequence[Point], shares: int) -> list[float]:
    """The least value in each of so many equal shares: what was there when nothing went on."""
    return [min(value for _, value in share) for share in _split(points, shares)]


def _split(points: Sequence[Point], shares: int) -> list[Sequence[Point]]:
    borders = [round(number * len(points) / shares) for number in range(shares + 1)]
    return [points[start:end] for start, end in itertools.pairwise(borders)]


def _variance_of_s(count: int) -> float:
    """Of Kendall's S for so many independent points; ties would make it less."""
    return count * (count - 1) * (2 * count + 5) / 18
