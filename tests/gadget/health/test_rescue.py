"""A task that hangs is started again; where that does not help, the process is told to end."""

import pytest
import trio
from trio.testing import MockClock

from gadget.health.rescue import Rescue
from gadget.part import Part
from gadget.supervisor import keep_running


class Hanging:
    """Hangs so many times, then beats on."""

    def __init__(self, times: int) -> None:
        self.starts = 0
        self._times = times

    async def run(self, part: Part) -> None:
        self.starts += 1
        part.beat(1)
        if self.starts <= self._times:
            await trio.sleep_forever()
        while True:
            part.beat(1)
            await trio.sleep(1)


async def watch(part: Part, hanging: Hanging, given_up: list[str], *, vital: bool) -> None:
    parts = ((part,), ()) if vital else ((), (part,))
    rescue = Rescue(*parts, attempts=3, give_up=given_up.append)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(keep_running, part, hanging.run)
        for _ in range(300):
            await trio.sleep(1)
            rescue.look()
        nursery.cancel_scope.cancel()


async def test_what_hangs_once_is_started_again_and_nothing_else(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    part, hanging, given_up = Part("usb"), Hanging(1), list[str]()
    await watch(part, hanging, given_up, vital=True)
    assert (hanging.starts, part.stuck_restarts, given_up) == (2, 1, [])
    assert not part.is_late()
    assert "no sign of life" in str([getattr(r, "reasons", "") for r in caplog.records])


async def test_what_hangs_again_and_again_ends_the_process_once(autojump_clock: MockClock) -> None:
    part, hanging, given_up = Part("usb"), Hanging(99), list[str]()
    await watch(part, hanging, given_up, vital=True)
    assert (part.stuck_restarts, given_up) == (3, ["usb"])


async def test_health_itself_never_ends_the_process(autojump_clock: MockClock) -> None:
    part, hanging, given_up = Part("health"), Hanging(99), list[str]()
    await watch(part, hanging, given_up, vital=False)
    assert (part.stuck_restarts, given_up) == (3, [])


async def test_what_beats_is_left_alone(autojump_clock: MockClock) -> None:
    part, hanging = Part("usb"), Hanging(0)
    await watch(part, hanging, [], vital=True)
    assert hanging.starts == 1


async def test_a_task_that_has_not_begun_does_not_hang(autojump_clock: MockClock) -> None:
    part = Part("usb")
    rescue = Rescue((part,), (), attempts=0, give_up=lambda _name: None)
    await trio.sleep(100)
    rescue.look()
    assert part.stuck_restarts == 0


async def test_a_process_that_was_stopped_and_goes_on_hangs_in_nothing(
    autojump_clock: MockClock,
) -> None:
    part = Part("usb")
    rescue = Rescue((part,), (), attempts=3, give_up=lambda _name: None)
    part.beat(1)
    await trio.sleep(100)  # nobody has looked meanwhile: the process itself stood still
    rescue.look()
    part.beat(1)
    await trio.sleep(1)
    rescue.look()
    assert part.stuck_restarts == 0
