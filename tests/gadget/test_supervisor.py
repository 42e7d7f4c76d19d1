"""A part is started again whatever it fails with, and each failure is logged once."""

import logging
from collections.abc import Callable

import pytest
import trio
from trio.testing import MockClock

from broker.errors import LinkLost
from gadget.part import Part
from gadget.supervisor import keep_running

FAILURES: dict[str, Callable[[], BaseException]] = {
    "the link": lambda: LinkLost("receive: end of file"),
    "the system": lambda: OSError(24, "Too many open files"),
    "a bug": lambda: KeyError("secret"),
    "a group": lambda: ExceptionGroup(
        "two", [LinkLost("send: gone"), ExceptionGroup("", [ValueError("secret")])]
    ),
    "memory": MemoryError,
}


class Failing:
    """Fails so often, then runs."""

    def __init__(self, failure: Callable[[], BaseException], *, times: int, after_s: float) -> None:
        self.started_s: list[float] = []
        self._failure = failure
        self._times = times
        self._after_s = after_s

    async def run(self, part: Part) -> None:
        self.started_s.append(trio.current_time())
        part.beat(self._after_s)
        await trio.sleep(self._after_s)
        if len(self.started_s) <= self._times:
            raise self._failure()
        part.beat(1e9)
        await trio.sleep_forever()


@pytest.mark.parametrize("failure", FAILURES.values(), ids=FAILURES.keys())
async def test_it_starts_again_after_any_failure(
    failure: Callable[[], BaseException],
    caplog: pytest.LogCaptureFixture,
    autojump_clock: MockClock,
) -> None:
    part, failing = Part("usb"), Failing(failure, times=1, after_s=0)
    with trio.move_on_after(60):
        await keep_running(part, failing.run)
    assert len(failing.started_s) == 2
    assert failing.started_s[1] - failing.started_s[0] == pytest.approx(1)
    assert part.restarts == 1
    assert [record.message for record in caplog.records] == ["part failed, starting again"]
    assert "secret" not in caplog.records[0].__dict__["reasons"]


async def test_a_known_error_is_a_warning_with_its_text_and_a_bug_an_error_with_its_place(
    caplog: pytest.LogCaptureFixture, autojump_clock: MockClock
) -> None:
    for name in ("the link", "a bug"):
        with trio.move_on_after(0.5):
            await keep_running(Part("usb"), Failing(FAILURES[name], times=1, after_s=0).run)
    known, bug = caplog.records
    assert (known.levelno, bug.levelno) == (logging.WARNING, logging.ERROR)
    assert known.__dict__["reasons"] == "LinkLost: receive: end of file"
    assert bug.__dict__["reasons"].startswith("KeyError at test_supervisor.py:")


async def test_that_it_ends_by_itself_is_a_failure(
    caplog: pytest.LogCaptureFixture, autojump_clock: MockClock
) -> None:
    async def end(_part: Part) -> None:
        await trio.lowlevel.checkpoint()

    part = Part("usb")
    with trio.move_on_after(1.5):
        await keep_running(part, end)
    assert part.restarts == 1
    assert "it has ended by itself" in caplog.records[0].__dict__["reasons"]


async def test_the_pauses_grow_and_are_forgotten_after_ten_stable_seconds(
    caplog: pytest.LogCaptureFixture, autojump_clock: MockClock
) -> None:
    with trio.move_on_after(1000):
        await keep_running(Part("usb"), Failing(FAILURES["a bug"], times=12, after_s=9).run)
    pauses = [record.__dict__["pause_s"] for record in caplog.records]
    assert pauses == [1.0] * 5 + [5.0] * 5 + [30.0] * 2
    caplog.clear()
    with trio.move_on_after(1000):
        await keep_running(Part("usb"), Failing(FAILURES["a bug"], times=12, after_s=10).run)
    assert [record.__dict__["pause_s"] for record in caplog.records] == [1.0] * 12


async def test_a_pause_is_no_reason_to_be_late(autojump_clock: MockClock) -> None:
    part = Part("usb")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(keep_running, part, Failing(FAILURES["a bug"], times=13, after_s=1).run)
        for _ in range(500):
            await trio.sleep(0.31)
            assert not part.is_late()
        nursery.cancel_scope.cancel()


async def test_told_to_stop_while_it_fails_it_ends_without_the_failure(
    caplog: pytest.LogCaptureFixture, autojump_clock: MockClock
) -> None:
    """A session that fails while it is torn down must not make the stop fail."""

    async def fail_at_end(_part: Part) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(trio.sleep_forever)
            try:
                await trio.sleep_forever()
            finally:
                raise RuntimeError

    part = Part("usb")
    with trio.move_on_after(5) as scope:
        await keep_running(part, fail_at_end)
    assert scope.cancelled_caught
    assert part.status == "stopped"
    assert len(caplog.records) == 1


async def test_cancelled_during_the_pause_it_ends(autojump_clock: MockClock) -> None:
    part, failing = Part("usb"), Failing(FAILURES["a bug"], times=9, after_s=0)
    with trio.move_on_after(0.5) as scope:
        await keep_running(part, failing.run)
    assert scope.cancelled_caught
    assert len(failing.started_s) == 1
