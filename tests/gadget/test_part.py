"""A heartbeat is a promise of the next one; who breaks it is late."""

import trio
from trio.testing import MockClock

from gadget.part import Part


async def test_a_part_is_late_once_its_promise_and_the_grace_are_over(
    autojump_clock: MockClock,
) -> None:
    part = Part("usb")
    part.beat(10)
    await trio.sleep(14.9)
    assert not part.is_late()
    await trio.sleep(0.2)
    assert part.is_late()
    part.beat(1)
    assert not part.is_late()


async def test_a_part_that_has_not_begun_is_late(autojump_clock: MockClock) -> None:
    part = Part("usb")
    assert part.is_late()
    with trio.move_on_after(60) as waiting:
        await part.wait_begun()
    assert waiting.cancelled_caught
    part.beat(1)
    await part.wait_begun()
    assert part.last_heartbeat_s == trio.current_time()
