"""The persistent session where the board is away, busy or silent for longer."""

import pytest
import trio
from trio.testing import MockClock

from broker.contract import INTERFACE_SIGN
from host.errors import DeviceBusy
from host.session import PersistentSession
from tests.host.session_bench import open_bench, open_persistent


async def test_reason_is_logged_once_while_it_stays_the_same(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    async with open_bench() as bench:
        bench.usb.unplug(bench.board)
        async with open_persistent(bench.connect):
            await trio.sleep(100)
    assert [r.getMessage() for r in caplog.records] == ["no session", "no session for a while"]


async def test_second_session_on_the_interface_is_refused_and_takes_over_later(
    autojump_clock: MockClock,
) -> None:
    async with open_bench() as bench, trio.open_nursery() as nursery:
        second = PersistentSession("A", INTERFACE_SIGN, connect=bench.connect)
        async with open_persistent(bench.connect) as first:
            await first.wait_up()
            nursery.start_soon(second.run)
            await trio.sleep(1.5)
            assert first.problem is None
            assert isinstance(second.problem, DeviceBusy)
        await second.wait_up()
        nursery.cancel_scope.cancel()


async def test_board_that_another_process_has_and_keeps_ends_the_run(
    autojump_clock: MockClock,
) -> None:
    async with open_bench() as bench, open_persistent(bench.connect) as first:
        await first.wait_up()
        start_s = trio.current_time()
        with pytest.raises(DeviceBusy):
            await PersistentSession("A", INTERFACE_SIGN, connect=bench.connect).run()
        assert 2 <= trio.current_time() - start_s <= 4
        assert first.problem is None
        assert first.counters().lost == 0


async def test_board_that_was_ours_and_is_busy_later_is_waited_for(
    autojump_clock: MockClock,
) -> None:
    async with open_bench() as bench, open_persistent(bench.connect) as session:
        await session.wait_up()
        bench.usb.unplug(bench.board)
        await trio.sleep(1)
        bench.usb.plug(bench.board)
        other = bench.board.claim(INTERFACE_SIGN)
        await trio.sleep(60)
        assert isinstance(session.problem, DeviceBusy)
        bench.board.opened += 1
        await other.release()
        await session.wait_up(1)


async def test_outage_that_lasts_is_told_once_with_what_to_check(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    def advice() -> list[str]:
        return [
            record.__dict__["advice"] for record in caplog.records if record.levelname == "ERROR"
        ]

    async with open_bench() as bench, open_persistent(bench.connect) as session:
        await session.wait_up()
        for outage in (1, 2):
            bench.usb.unplug(bench.board)
            await trio.sleep(8)
            assert len(advice()) == outage - 1
            await trio.sleep(100)
            assert len(advice()) == outage
            bench.usb.plug(bench.board)
            await session.wait_up(outage)
    assert "cable" in advice()[0]


async def test_turn_comes_within_30_s_whatever_the_board_does(autojump_clock: MockClock) -> None:
    async with open_bench() as bench, open_persistent(bench.connect) as session:
        await session.wait_up()
        for is_silent, is_away in ((False, False), (True, False), (True, True)):
            bench.answers.is_silent = is_silent
            if is_away:
                bench.usb.unplug(bench.board)
            for _ in range(5):
                with trio.fail_after(30):
                    await session.wait_turn()
