"""Whether memory or open files grow: judged by the floor of what was seen, never by one sample.

Pure. A key derivation takes 64 MiB for a second and gives it back; so what counts is the least
value of a while. Samples are kept as the least one of each ten minutes, for a day.
"""

from collections import deque
from dataclasses import dataclass
from itertools import pairwise
from typing import Final, final

__all__ = ["WARM_UP_S", "Growth", "GrowthFigures"]

WARM_UP_S: Final = 600.0
_BLOCK_S: Final = 600.0
_BLOCKS: Final = 144
# As many samples in a row must be high: three minutes at the usual interval.
_LATEST: Final = 3
_QUARTERS: Final = 4
_QUARTER_BLOCKS_LEAST: Final = 9  # an hour and a half each: six hours in all


@dataclass(frozen=True, slots=True, kw_only=True)
class GrowthFigures:
    """`baseline`: the least value after the warm-up; None until then. `leak_suspected`: it has been
    over `limit`, or its floor has risen from quarter to quarter of six hours and more.
    """

    baseline: int | None
    floor: int
    leak_suspected: bool


@final
class Growth:
    """One number over time.

    Args:
        ratio: how many times the baseline is too much.
        noise: by how much the floor must rise to count.
    """

    def __init__(self, *, ratio: float, noise: int) -> None:
        self._ratio = ratio
        self._noise = noise
        self._baseline: int | None = None
        self._latest: deque[int] = deque(maxlen=_LATEST)
        self._blocks: deque[int] = deque(maxlen=_BLOCKS)
        self._block_began_s = 0.0

    def add(self, uptime_s: float, value: int) -> None:
        """Takes a sample; call it about once a minute."""
        self._latest.append(value)
        if uptime_s < WARM_UP_S:
            return
        if self._baseline is None:
            self._baseline = min(self._latest)
        if self._blocks and uptime_s - self._block_began_s < _BLOCK_S:
            self._blocks[-1] = min(self._blocks[-1], value)
        else:
            self._blocks.append(value)
            self._block_began_s = uptime_s

    def figures(self) -> GrowthFigures:
        floor = min(self._latest, default=0)
        return GrowthFigures(
            baseline=self._baseline,
            floor=floor,
            leak_suspected=self._is_high(floor) or self._rises(),
        )

    def _is_high(self, floor: int) -> bool:
        if self._baseline is None or len(self._latest) < _LATEST:
            return False
        return floor > self._baseline * self._ratio and floor > self._baseline + self._noise

    def _rises(self) -> bool:
        length = len(self._blocks) // _QUARTERS
        if length < _QUARTER_BLOCKS_LEAST:
            return False
        blocks = [*self._blocks][-length * _QUARTERS :]
        floors = [min(blocks[at : at + length]) for at in range(0, len(blocks), length)]
        steps = [after - before for before, after in pairwise(floors)]
        # Each time by a share of what is too much in all, or noise would do.
        return all(step > self._noise / _QUARTERS for step in steps)
