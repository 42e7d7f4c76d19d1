"""The slope's bounds hold as often as they say, through noise, steps and spikes."""

from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.soak.growth import floors, measure_growth
from tests.soak.synthetic import BASE_KIB, make_series

PAGE_KIB: Final = 4.0
MIB: Final = 1024.0
TRIES: Final = 200


def holds(*, length_s: float, persistence: float, leak: float) -> float:
    """How often the true slope lies between the two bounds: 0.9 with blocks without number."""
    inside = 0
    for seed in range(TRIES):
        points = make_series(
            length_s, leak_per_hour=leak, noise=20.0, persistence=persistence, seed=seed
        )
        growth = measure_growth(points, step=PAGE_KIB)
        inside += growth.lower <= leak <= growth.upper
    return inside / TRIES


@pytest.mark.parametrize("leak", [0.0, 2 * MIB])
def test_bounds_hold_for_independent_noise(leak: float) -> None:
    assert holds(length_s=240, persistence=0.0, leak=leak) >= 0.88


@pytest.mark.parametrize("leak", [0.0, 2 * MIB])
def test_bounds_hold_for_noise_that_stays_for_many_samples(leak: float) -> None:
    assert holds(length_s=960, persistence=0.9, leak=leak) >= 0.85


def test_a_flat_series_shows_less_than_a_page_in_its_length() -> None:
    growth = measure_growth(make_series(3481), step=PAGE_KIB)
    assert growth.slope == 0
    assert growth.lower == pytest.approx(-PAGE_KIB / 3480 * 3600)
    assert growth.upper == pytest.approx(PAGE_KIB / 3480 * 3600)


def test_a_leak_is_measured_exactly_through_spikes_of_64_mib() -> None:
    points = make_series(600, leak_per_hour=10 * MIB, spike_every_s=12.0)
    growth = measure_growth(points, step=PAGE_KIB)
    assert growth.slope == pytest.approx(10 * MIB, rel=0.02)
    assert growth.lower > 9 * MIB
    assert growth.upper < 11 * MIB


@pytest.mark.parametrize("at_s", [50, 150, 300, 450, 550])
def test_a_single_step_is_no_growth_beyond_doubt(at_s: int) -> None:
    points = [(t, value + (MIB if t >= at_s else 0)) for t, value in make_series(600)]
    assert measure_growth(points, step=PAGE_KIB).lower <= 0


@pytest.mark.parametrize("at_s", [60, 540])
def test_a_step_near_an_end_does_not_tilt_the_slope(at_s: int) -> None:
    points = [(t, value + (MIB if t >= at_s else 0)) for t, value in make_series(600)]
    assert measure_growth(points, step=PAGE_KIB).slope == 0


def test_key_derivations_that_fill_most_of_the_later_time_are_not_seen() -> None:
    points = [(t, value + 64 * MIB * (t > 300 and t % 12 > 4)) for t, value in make_series(600)]
    assert measure_growth(points, step=PAGE_KIB).slope == 0


def test_too_few_samples_are_refused() -> None:
    with pytest.raises(ValueError, match="too few"):
        measure_growth(make_series(39), step=PAGE_KIB)


series = st.lists(st.integers(0, 50), min_size=40, max_size=120).map(
    lambda values: [(float(at_s), BASE_KIB + value * PAGE_KIB) for at_s, value in enumerate(values)]
)


@given(points=series)
def test_the_slope_lies_between_its_bounds(points: list[tuple[float, float]]) -> None:
    growth = measure_growth(points, step=PAGE_KIB)
    assert growth.lower < growth.slope < growth.upper


@given(points=series, factor=st.integers(1, 1000))
def test_growth_has_the_unit_of_the_series(points: list[tuple[float, float]], factor: int) -> None:
    larger = [(at_s, value * factor) for at_s, value in points]
    before = measure_growth(points, step=PAGE_KIB)
    after = measure_growth(larger, step=PAGE_KIB * factor)
    for name in ("slope", "lower", "upper"):
        assert getattr(after, name) == pytest.approx(getattr(before, name) * factor, abs=1e-6)


@given(points=series)
def test_no_sample_is_left_out_of_the_floors(points: list[tuple[float, float]]) -> None:
    assert min(floors(points, 4)) == min(value for _, value in points)
