"""Counts by name: of the last hour, in all, and never more names than there is room for."""

from gadget.health.rolling import NamedCount, RollingCounts


def test_an_hour_is_twelve_turns() -> None:
    counts = RollingCounts()
    counts.count("a", 2)
    for _ in range(11):
        counts.turn()
    assert counts.last_hour("a") == 2
    counts.turn()
    counts.count("b")
    assert counts.figures() == (
        NamedCount(name="a", last_hour=0, total=2),
        NamedCount(name="b", last_hour=1, total=1),
    )


def test_names_are_bounded() -> None:
    counts = RollingCounts()
    for number in range(1000):
        counts.count(f"n{number}")
    figures = counts.figures()
    assert len(figures) == 33
    assert counts.total("other") == 1000 - 32
    assert counts.last_hour("n0") == 1
