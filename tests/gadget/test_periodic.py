"""Turn after turn, never two at once, until it is cancelled."""

import pytest
import trio
from trio.testing import MockClock

from gadget.part import Part
from gadget.periodic import run_periodically


async def test_turns_never_overlap_and_begin_a_period_after_the_last_ended(
    autojump_clock: MockClock,
) -> None:
    part = Part("log")
    begun_s: list[float] = []
    running = 0

    async def turn() -> None:
        nonlocal running
        assert running == 0
        running += 1
        begun_s.append(trio.current_time())
        await trio.sleep(2.5)  # longer than the period
        running -= 1

    start_s = trio.current_time()
    with trio.move_on_after(10):
        await run_periodically(part, 1, turn)
    assert [round(at_s - start_s, 3) for at_s in begun_s] == [0, 3.5, 7]


async def test_each_turn_is_a_heartbeat(autojump_clock: MockClock) -> None:
    part = Part("log")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(run_periodically, part, 7, trio.lowlevel.checkpoint)
        for _ in range(100):
            await trio.sleep(3.1)
            assert not part.is_late()
        nursery.cancel_scope.cancel()


async def test_a_turn_that_hangs_makes_the_part_late(autojump_clock: MockClock) -> None:
    part = Part("log")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(run_periodically, part, 1, trio.sleep_forever)
        await trio.sleep(7)
        assert part.is_late()
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize("after_s", [0, 0.5, 1, 1.5])
async def test_cancelled_at_any_moment_it_ends(after_s: float, autojump_clock: MockClock) -> None:
    with trio.move_on_after(after_s) as scope:
        await run_periodically(Part("log"), 1, trio.lowlevel.checkpoint)
    assert scope.cancelled_caught
