import pytest
from hypothesis import given
from hypothesis import strategies as st

from gadget.wedge import WedgeEvidence


def judged(*announced_s: float, at_s: float, transfers: int = 0) -> bool:
    """Whether it is a wedge at that time, when nothing completes between the announcements."""
    evidence = WedgeEvidence()
    for now_s in announced_s:
        evidence.announce(now_s, 0)
    return evidence.is_wedged(at_s, transfers)


@pytest.mark.parametrize(
    ("announced_s", "at_s"),
    [
        ((100.0, 104.0), 107.0),
        ((100.0, 129.0), 132.0),
        ((100.0, 101.0, 102.0, 103.0), 106.0),
        ((100.0, 120.0, 140.0, 160.0), 160.0),
        ((100.0, 103.0, 106.0), 106.0),
    ],
)
def test_two_announcements_without_traffic_for_some_seconds_each_are_a_wedge(
    announced_s: tuple[float, ...], at_s: float
) -> None:
    assert judged(*announced_s, at_s=at_s)


@pytest.mark.parametrize(
    ("announced_s", "at_s"),
    [
        ((), 1000.0),
        ((100.0,), 129.0),  # one is none: a host can die before it sends
        ((100.0, 104.0), 106.9),  # the second one's transfer is not due yet
        ((100.0, 101.0, 102.9), 110.0),  # one try in three requests
        ((100.0, 104.0), 134.1),  # the host is not there any more
        ((100.0, 130.1), 133.1),  # two hosts that died, half a minute apart
    ],
)
def test_less_than_that_is_no_wedge(announced_s: tuple[float, ...], at_s: float) -> None:
    assert not judged(*announced_s, at_s=at_s)


def test_any_completed_transfer_takes_the_suspicion_away() -> None:
    assert not judged(100.0, 104.0, at_s=107.0, transfers=1)
    evidence = WedgeEvidence()
    evidence.announce(100.0, 0)
    evidence.announce(104.0, 1)
    assert not evidence.is_wedged(107.0, 1)
    evidence.announce(108.0, 1)
    assert evidence.is_wedged(111.0, 1)


def test_evidence_that_was_used_is_gone() -> None:
    evidence = WedgeEvidence()
    evidence.announce(100.0, 0)
    evidence.announce(104.0, 0)
    evidence.clear()
    assert not evidence.is_open(107.0, 0)
    assert not evidence.is_wedged(107.0, 0)


def test_it_is_open_from_an_announcement_until_traffic_or_the_host_has_left() -> None:
    evidence = WedgeEvidence()
    assert not evidence.is_open(0.0, 0)
    evidence.announce(100.0, 0)
    assert evidence.is_open(100.0, 0)
    assert evidence.is_open(130.0, 0)
    assert not evidence.is_open(130.1, 0)
    assert not evidence.is_open(100.0, 1)


@given(st.lists(st.floats(0.0, 29.0), min_size=1, max_size=20))
def test_host_whose_every_session_works_is_never_bounced(gaps_s: list[float]) -> None:
    evidence, now_s = WedgeEvidence(), 0.0
    for transfers, gap_s in enumerate(gaps_s):
        evidence.announce(now_s, transfers)
        now_s += gap_s
        assert not evidence.is_wedged(now_s, transfers + 1)
