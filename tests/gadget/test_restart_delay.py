"""1 s five times, 5 s five times, then 30 s; ten stable seconds wipe the slate."""

from gadget.restart_delay import RestartDelay


def test_delays_grow_in_three_steps() -> None:
    delay = RestartDelay()
    assert [delay.after_run(0.5) for _ in range(13)] == [1.0] * 5 + [5.0] * 5 + [30.0] * 3


def test_ten_stable_seconds_start_again_at_the_first_delay() -> None:
    delay = RestartDelay()
    for _ in range(11):
        delay.after_run(9.9)
    assert delay.after_run(9.9) == 30.0
    assert delay.after_run(10.0) == 1.0
    assert delay.failures == 1
