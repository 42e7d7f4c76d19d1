"""Delays between tries."""

import pytest

from broker.backoff import Backoff


def test_delays_double_from_10_ms_to_1_s() -> None:
    backoff = Backoff()
    delays = [backoff.next_delay_s() for _ in range(9)]
    assert delays == [0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.0, 1.0]


def test_success_starts_again_at_the_first_delay() -> None:
    backoff = Backoff()
    fresh = [backoff.is_fresh]
    for _ in range(5):
        backoff.next_delay_s()
    fresh.append(backoff.is_fresh)
    backoff.reset()
    fresh.append(backoff.is_fresh)
    assert fresh == [True, False, True]
    assert backoff.next_delay_s() == 0.01


@pytest.mark.parametrize(("first_s", "limit_s"), [(0, 1), (-1, 1), (2, 1)])
def test_odd_delays_are_refused(first_s: float, limit_s: float) -> None:
    with pytest.raises(ValueError, match="back-off"):
        Backoff(first_s=first_s, limit_s=limit_s)
