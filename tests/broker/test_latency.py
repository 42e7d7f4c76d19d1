"""The buckets of the latency meter: what is in them, what is told, what is forgotten."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.latency import SLOTS, LatencyFigures, LatencyMeter


def meter_of(*times_s: float) -> LatencyMeter:
    meter = LatencyMeter()
    for time_s in times_s:
        meter.add(time_s)
    return meter


def test_of_nothing_all_is_zero() -> None:
    assert LatencyMeter().figures() == LatencyFigures(
        count=0, p50_ms=0, p95_ms=0, p99_ms=0, max_ms=0
    )


@given(st.lists(st.floats(0, 100), min_size=1, max_size=200))
def test_a_quantile_is_told_to_within_a_bucket_and_the_maximum_exactly(
    times_s: list[float],
) -> None:
    figures = meter_of(*times_s).figures()
    ordered = sorted(times_s)
    for share, told_ms in ((0.5, figures.p50_ms), (0.95, figures.p95_ms), (0.99, figures.p99_ms)):
        rank = max(0, -(-int(share * 1000) * len(ordered) // 1000) - 1)
        true_ms = ordered[rank] * 1000
        assert true_ms - 0.001 <= told_ms <= true_ms * 1.26 + 0.01
    assert figures.max_ms == pytest.approx(ordered[-1] * 1000, abs=0.001)
    assert figures.count == len(times_s)


def test_what_is_over_an_hour_ago_is_forgotten_and_the_total_is_not() -> None:
    meter = meter_of(2.0)
    for _ in range(SLOTS - 1):
        meter.turn()
        assert meter.figures().count == 1
    meter.turn()
    assert meter.figures().count == 0
    assert meter.figures().max_ms == 0
    assert meter.total == 1


@pytest.mark.parametrize("time_s", [-1.0, 0.0, 1e-9, 3e-6, 1e9])
def test_any_time_has_a_bucket(time_s: float) -> None:
    assert meter_of(time_s).figures().count == 1


def test_it_stays_the_same_size() -> None:
    meter = LatencyMeter()
    meter.add(1.0)
    before = len(meter._counts)
    for number in range(10_000):
        meter.add(number / 1000)
    assert len(meter._counts) == before
    for _ in range(100):
        meter.turn()
    assert len(meter._past) == SLOTS - 1
