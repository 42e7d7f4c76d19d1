"""Growth is judged by floors over time: a leak is found, a spike and a plateau are not."""

from collections.abc import Callable
from random import Random

import pytest

from gadget.health.growth import WARM_UP_S, Growth

MIB = 1 << 20
BASE = 40 * MIB


def watch(hours: float, value: Callable[[float], int]) -> Growth:
    growth = Growth(ratio=1.5, noise=4 * MIB)
    for minute in range(int(hours * 60)):
        growth.add(minute * 60.0, value(minute / 60))
    return growth


def noisy(base: int) -> int:
    return base + int(_random.uniform(0, 2 * MIB))


_random = Random(7)  # noqa: S311


@pytest.mark.parametrize("mib_per_hour", [0.5, 1, 2, 10])
def test_a_leak_is_suspected_within_a_day(mib_per_hour: float) -> None:
    leaking = watch(24, lambda hour: noisy(BASE + int(hour * mib_per_hour * MIB)))
    assert leaking.figures().leak_suspected


def test_a_fast_leak_is_suspected_as_soon_as_it_is_over_the_limit_for_three_samples() -> None:
    growth = watch(1, lambda _hour: BASE)
    for number in range(3):
        assert not growth.figures().leak_suspected
        growth.add(3600 + number * 60.0, 61 * MIB)
    assert growth.figures().leak_suspected


@pytest.mark.parametrize(
    ("hours", "value"),
    [
        (24, lambda _hour: noisy(BASE)),
        (24, lambda hour: BASE + (64 * MIB if int(hour * 60) % 7 == 0 else 0)),
        (24, lambda hour: BASE if hour < 6 else BASE + 8 * MIB),
        (0.1, lambda hour: int(BASE + hour * 1000 * MIB)),
    ],
    ids=["noise", "key derivations", "a plateau", "warming up"],
)
def test_what_is_no_leak_is_not_suspected(hours: float, value: Callable[[float], int]) -> None:
    assert not watch(hours, value).figures().leak_suspected


def test_the_baseline_is_taken_after_the_warm_up() -> None:
    growth = Growth(ratio=1.5, noise=0)
    growth.add(0, 10)
    assert growth.figures().baseline is None
    growth.add(WARM_UP_S, 20)
    growth.add(WARM_UP_S + 60, 5)
    assert growth.figures().baseline == 10


def test_it_keeps_a_bounded_number_of_samples() -> None:
    assert len(watch(100, lambda _hour: BASE)._blocks) == 144
