"""Rounds of a pulse: who has shown itself, who waits for the other end, who is missing."""

from broker.pulse import IN_LINK, Missed, Pulse


def test_a_task_that_comes_round_misses_nothing() -> None:
    pulse = Pulse()
    turn = pulse.join("worker")
    for _ in range(5):
        turn.seen = pulse.round
        assert pulse.begin_round().rounds == 0


def test_missed_rounds_are_counted_in_a_row_and_forgiven() -> None:
    pulse = Pulse()
    turn = pulse.join("worker")
    turn.seen = pulse.round
    assert [pulse.begin_round().rounds for _ in range(4)] == [0, 1, 2, 3]
    turn.seen = pulse.round
    assert [pulse.begin_round().rounds for _ in range(2)] == [0, 1]


def test_a_task_that_never_began_is_missed() -> None:
    pulse = Pulse()
    pulse.join("timekeeper")
    assert pulse.begin_round() == Missed(task="timekeeper", rounds=1)


def test_the_slowest_task_is_named() -> None:
    pulse = Pulse()
    quick, slow = pulse.join("worker"), pulse.join("reader")
    quick.seen = slow.seen = pulse.round
    pulse.begin_round()
    for _ in range(2):
        quick.seen = pulse.round
        missed = pulse.begin_round()
    assert missed == Missed(task="reader", rounds=2)


def test_who_waits_for_the_other_end_misses_nothing_however_long() -> None:
    pulse = Pulse()
    pulse.join("worker").seen = IN_LINK
    assert [pulse.begin_round().rounds for _ in range(1000)] == [0] * 1000


def test_without_tasks_nothing_is_missed() -> None:
    assert Pulse().begin_round().rounds == 0
