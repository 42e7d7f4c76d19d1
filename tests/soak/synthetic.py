"""Series as a process makes them, for the tests of the statistics: noise, steps, spikes, leaks."""

import random
from collections.abc import Callable
from typing import Final

from tests.soak.growth import Point
from tests.soak.series import KERNEL, LOAD, Metric, Run, Sample

__all__ = ["BASE_KIB", "COUNTS", "make_run", "make_series"]

BASE_KIB: Final = 36_000.0
PAGE_KIB: Final = 4.0
COUNTS: Final = {"signed": 900, "status": 20, "unlock": 2, "junk": 20, "unplugged": 12}


def make_series(
    length_s: float,
    *,
    period_s: float = 1.0,
    leak_per_hour: float = 0.0,
    noise: float = 0.0,
    persistence: float = 0.0,
    spike_every_s: float = 0.0,
    seed: int = 0,
) -> list[Point]:
    """Memory in KiB, in whole pages.

    Args:
        noise, persistence: of an autoregressive process: how far, and how much of it stays.
        spike_every_s: how often 64 MiB are there for one sample.
    """
    source = random.Random(seed)  # noqa: S311 - the same each time is the point
    points, wander = [], 0.0
    for number in range(round(length_s / period_s)):
        at_s = number * period_s
        wander = persistence * wander + source.gauss(0.0, noise)
        value = BASE_KIB + wander + leak_per_hour * at_s / 3600
        if spike_every_s and number and at_s % spike_every_s < period_s:
            value += 65_536
        points.append((at_s, round(value / PAGE_KIB) * PAGE_KIB))
    return points


def make_run(
    memory: list[Point],
    *,
    descriptors: Callable[[float], float] = lambda _: 20.0,
    signed: Callable[[float], float] = lambda at_s: at_s * 50,
    slab: Callable[[float], float] = lambda _: 9000.0,
    counts: dict[str, int] | None = None,
    process: str = "gadget",
) -> Run:
    """A process with that memory; the other numbers are functions of time."""
    samples = tuple(
        Sample(
            at_s=at_s,
            values={
                process: {Metric.RESIDENT_KIB: value, Metric.DESCRIPTORS: descriptors(at_s)},
                KERNEL: {Metric.KERNEL_MEMORY_KIB: slab(at_s), Metric.DENTRIES: at_s},
                LOAD: {Metric.SIGNED: signed(at_s)},
            },
        )
        for at_s, value in memory
    )
    return Run(samples=samples, counts=COUNTS if counts is None else counts)
