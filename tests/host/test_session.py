"""One session and the persistent one over a fake bus: verified, checked, lost, opened again."""

import gc
from collections.abc import Callable

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from broker.contract import INTERFACE_SIGN
from broker.frame import Frame, FrameType, encode_frame
from broker.messages import ErrorCode, PingRequest, PingResponse, SignRequest
from host.client import Client
from host.connection import Connection, open_session
from host.errors import (
    BadAnswer,
    DeviceGone,
    DeviceSilent,
    HostError,
    NoDevice,
    NotReady,
    Refused,
    SeveralDevices,
    UsbUnsupported,
)
from host.libusb_abi import TransferStatus
from host.session import PersistentSession
from tests.fakes.usb import FakeUsbBoard, ready_reply
from tests.host.session_bench import ADDRESS, Bench, open_bench, open_persistent, sign


async def test_session_is_verified_before_it_is_used() -> None:
    async with open_bench() as bench:
        connection = await bench.connect(None, INTERFACE_SIGN)
        async with open_session(connection.stream) as session:
            assert [type(request) for request in bench.answers.requests] == [PingRequest]
            assert await Client(session).sign(ADDRESS, b"x") == b"x" * 64
        bench.assert_nothing_is_open()


async def test_stale_bytes_before_the_echo_are_dropped() -> None:
    async with open_bench() as bench:
        stale = encode_frame(Frame(FrameType.RESPONSE, bytes(16), b"another session's"))
        bench.interface.put(stale[-40:])
        bench.interface.put(stale * 3)
        bench.interface.put(stale[:20])
        connection = await bench.connect(None, INTERFACE_SIGN)
        async with open_session(connection.stream) as session:
            assert await Client(session).sign(ADDRESS, b"x") == b"x" * 64


async def test_board_that_does_not_echo_is_silent(autojump_clock: MockClock) -> None:
    async with open_bench() as bench:
        bench.answers.is_silent = True
        connection = await bench.connect(None, INTERFACE_SIGN)
        with pytest.raises(DeviceSilent):
            async with open_session(connection.stream):
                pytest.fail("not verified")
        assert trio.current_time() <= 3.5
        bench.assert_nothing_is_open()


async def test_board_that_echoes_another_token_is_not_used() -> None:
    async with open_bench() as bench:
        bench.answers.answer = lambda _: PingResponse(token=b"another", start_id=bytes(16))
        connection = await bench.connect(None, INTERFACE_SIGN)
        with pytest.raises(BadAnswer):
            async with open_session(connection.stream):
                pytest.fail("not verified")
        bench.assert_nothing_is_open()


async def test_errors_of_the_block_pass_through_without_a_group() -> None:
    async with open_bench() as bench:
        connection = await bench.connect(None, INTERFACE_SIGN)
        with pytest.raises(Refused) as caught:
            async with open_session(connection.stream) as session:
                await Client(session).status()
        assert caught.value.code == ErrorCode.KEY_NOT_FOUND
        bench.assert_nothing_is_open()


async def test_board_that_vanishes_in_mid_request_is_gone() -> None:
    async with open_bench() as bench:
        connection = await bench.connect(None, INTERFACE_SIGN)
        async with open_session(connection.stream) as session:
            bench.answers.hold = trio.Event()
            results: list[object] = []
            async with trio.open_nursery() as nursery:
                nursery.start_soon(sign, Client(session), results)
                nursery.start_soon(sign, Client(session), results)
                await wait_all_tasks_blocked()
                bench.usb.unplug(bench.board)
            assert [type(result) for result in results] == [DeviceGone, DeviceGone]
            with pytest.raises(DeviceGone):
                await Client(session).ping()
        bench.assert_nothing_is_open()


async def test_session_ends_when_it_is_cancelled(autojump_clock: MockClock) -> None:
    async with open_bench() as bench:
        connection = await bench.connect(None, INTERFACE_SIGN)
        with trio.move_on_after(1) as scope:
            async with open_session(connection.stream):
                await trio.sleep(60)
        assert scope.cancelled_caught
        bench.assert_nothing_is_open()


async def test_call_waits_for_the_first_session(autojump_clock: MockClock) -> None:
    async with open_bench() as bench:
        bench.board.ready = ready_reply(ready=0)
        async with open_persistent(bench.connect) as session, trio.open_nursery() as nursery:
            results: list[object] = []
            nursery.start_soon(sign, session.client, results)
            await trio.sleep(3)
            assert isinstance(session.problem, NotReady)
            bench.board.ready = ready_reply()
            await trio.sleep(1.5)
            assert results == [b"p" * 64]
            assert session.counters().opened == 1
        bench.assert_nothing_is_open()


@pytest.mark.parametrize(
    ("prepare", "problem"),
    [
        (lambda bench: bench.usb.unplug(bench.board), NoDevice),
        (lambda bench: setattr(bench.board, "ready", ready_reply(ready=0)), NotReady),
        (lambda bench: bench.usb.boards.append(FakeUsbBoard("B", address=9)), SeveralDevices),
        (lambda bench: setattr(bench.answers, "is_silent", True), DeviceSilent),
    ],
)
async def test_caller_is_told_the_reason_just_before_its_deadline(
    prepare: Callable[[Bench], object], problem: type[HostError], autojump_clock: MockClock
) -> None:
    async with open_bench() as bench:
        prepare(bench)
        async with open_persistent(bench.connect) as session:
            start_s = trio.current_time()
            with pytest.raises(problem), trio.fail_after(5):
                await session.client.sign(ADDRESS, b"x")
            assert 4.9 <= trio.current_time() - start_s < 5


async def test_repeatable_call_goes_out_again_on_the_next_session(
    autojump_clock: MockClock,
) -> None:
    async with open_bench() as bench, open_persistent(bench.connect) as session:
        await session.wait_up()
        bench.answers.hold = trio.Event()
        results: list[object] = []
        async with trio.open_nursery() as nursery:
            nursery.start_soon(sign, session.client, results)
            await wait_all_tasks_blocked()
            bench.usb.unplug(bench.board)
            await trio.sleep(1)
            assert isinstance(session.problem, NoDevice)
            bench.answers.hold = None
            bench.usb.plug(bench.board)
        assert results == [b"p" * 64]
        signs = [r for r in bench.answers.requests if isinstance(r, SignRequest)]
        assert len(signs) == 2
        assert session.counters().repeated == 1


async def test_call_that_must_not_be_repeated_raises_at_once(autojump_clock: MockClock) -> None:
    async with open_bench() as bench, open_persistent(bench.connect) as session:
        await session.wait_up()
        bench.answers.hold = trio.Event()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(unplug_later, bench)
            with pytest.raises(DeviceGone):
                await session.client.unlock(b"passphrase")


async def unplug_later(bench: Bench) -> None:
    await wait_all_tasks_blocked()
    bench.usb.unplug(bench.board)


async def test_session_comes_back_soon_after_the_board(autojump_clock: MockClock) -> None:
    async with open_bench() as bench, open_persistent(bench.connect) as session:
        number = await session.wait_up()
        bench.usb.unplug(bench.board)
        await trio.sleep(100)
        assert isinstance(session.problem, NoDevice)
        bench.usb.plug(bench.board)
        start_s = trio.current_time()
        assert await session.wait_up(number) == number + 1
        assert trio.current_time() - start_s <= 1.1


async def test_silent_board_is_found_dead_within_30_s(autojump_clock: MockClock) -> None:
    async with open_bench() as bench, open_persistent(bench.connect) as session:
        await session.wait_up()
        bench.answers.is_silent = True
        await trio.sleep(30)
        assert session.counters().lost == 1
        assert isinstance(session.problem, DeviceSilent)
        bench.answers.is_silent = False
        await session.wait_up(1)


async def test_quiet_session_is_kept_and_checked(autojump_clock: MockClock) -> None:
    async with open_bench() as bench, open_persistent(bench.connect) as session:
        await session.wait_up()
        await trio.sleep(3600)
        assert session.counters().opened == 1
        assert 200 <= len(bench.answers.requests) <= 250


async def test_first_board_stays_the_one_that_is_meant(autojump_clock: MockClock) -> None:
    async with open_bench() as bench, open_persistent(bench.connect) as session:
        await session.wait_up()
        assert session.serial == "A"
        bench.usb.unplug(bench.board)
        bench.usb.plug(FakeUsbBoard("B", address=9))
        await trio.sleep(5)
        assert isinstance(session.problem, NoDevice)
        assert "serial number A" in str(session.problem)


async def test_machine_without_libusb_ends_the_run() -> None:
    async def connect(serial: str | None, interface: int) -> Connection:
        raise UsbUnsupported("no libusb")

    with pytest.raises(UsbUnsupported):
        await PersistentSession(None, INTERFACE_SIGN, connect=connect).run()


async def test_passing_transfer_errors_do_not_end_the_session(autojump_clock: MockClock) -> None:
    async with open_bench() as bench, open_persistent(bench.connect) as session:
        await session.wait_up()
        for _ in range(10):
            await wait_all_tasks_blocked()  # the next read is on its way again
            bench.interface.fail(TransferStatus.ERROR, incoming=True)
            assert await session.client.sign(ADDRESS, b"x") == b"x" * 64
        assert session.counters().opened == 1


async def test_many_reconnects_leave_nothing_behind(autojump_clock: MockClock) -> None:
    async with open_bench() as bench:
        async with open_persistent(bench.connect) as session:
            number = await session.wait_up()
            objects = 0
            for turn in range(60):
                if turn == 10:
                    gc.collect()
                    objects = len(gc.get_objects())
                bench.usb.unplug(bench.board)
                bench.usb.plug(bench.board)
                number = await session.wait_up(number)
                assert await session.client.sign(ADDRESS, b"x") == b"x" * 64
                bench.answers.requests.clear()
                await trio.sleep(20)
            gc.collect()
            assert len(gc.get_objects()) - objects < 200
            assert session.counters().opened == 61
            assert session.counters().lost == 60
        bench.assert_nothing_is_open()
