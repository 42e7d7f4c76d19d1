"""The host's USB code over real libusb, usbfs and dummy_hcd. Run with:

python -m tests.lab -- pytest -p no:cacheprovider tests/kernel/test_host_usb.py
"""

import errno
import os
import statistics
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from broker.contract import INTERFACE_MANAGE, INTERFACE_SIGN, PRODUCT
from broker.errors import LinkLost
from broker.stream import ByteStream
from host.discover import choose, claim, find_devices, reset_port
from host.errors import (
    BadAnswer,
    DeviceBusy,
    DeviceGone,
    DeviceSilent,
    HostError,
    NoDevice,
    NotReady,
    VersionMismatch,
)
from host.session import open_client
from host.usb_stream import UsbStream
from tests.kernel.echo_board import SERIAL, EchoProcess, wait_for_device
from tests.kernel.sync_interface import open_sync

# What a person calls at once; the emulated machine may be busy with something else.
AT_ONCE_S = 0.100
SOON_S = 5.0
ROUND_TRIPS = 200
IN_TRANSFERS = 2
_NOBODY = 65534


@pytest.fixture(scope="module")
def echo_process() -> Iterator[EchoProcess]:
    process = EchoProcess()
    yield process
    process.close()


@pytest.fixture
def echo(echo_process: EchoProcess) -> EchoProcess:
    """A board that is ready and echoes, whatever the test before has done to it."""
    if not find_devices():
        echo_process.bind()
    echo_process.tell("ready 1 1")
    for interface in (INTERFACE_SIGN, INTERFACE_MANAGE):
        echo_process.tell(f"resume {interface}")
    return echo_process


@asynccontextmanager
async def open_stream(interface: int = INTERFACE_SIGN) -> AsyncIterator[UsbStream]:
    stream = UsbStream(await trio.to_thread.run_sync(claim, choose(SERIAL), interface))
    try:
        # What the board echoed to nobody in the test before.
        with trio.move_on_after(AT_ONCE_S):
            while True:
                await stream.receive()
        yield stream
    finally:
        await stream.aclose()


async def receive_exactly(stream: ByteStream, size: int) -> bytes:
    got = b""
    while len(got) < size:
        got += await stream.receive()
    return got


def pattern(size: int) -> bytes:
    return bytes(k % 251 for k in range(size))


def count_kept() -> tuple[int, int]:
    """Descriptors and threads of this process."""
    return len([*Path("/proc/self/fd").iterdir()]), len([*Path("/proc/self/task").iterdir()])


def test_board_is_found_and_described(echo: EchoProcess) -> None:
    (device,) = find_devices()
    assert (device.serial, device.product, device.port_path) == (SERIAL, PRODUCT, "1-1")
    assert (device.readable, device.ready, device.problem) == (True, True, None)


@pytest.mark.parametrize(
    ("ready", "error"),
    [
        ("0 1", NotReady),
        ("1 2", VersionMismatch),
        ("-1 1", BadAnswer),
    ],
)
def test_ready_request_decides(echo: EchoProcess, ready: str, error: type[HostError]) -> None:
    echo.tell(f"ready {ready}")
    device = choose(SERIAL)
    assert not device.ready
    with pytest.raises(error):
        claim(device, INTERFACE_SIGN)


def test_control_request_that_nobody_answers_ends_in_time(echo: EchoProcess) -> None:
    echo.tell("ready -2 1")
    start_s = time.monotonic()
    (device,) = find_devices()
    assert device.problem is not None
    assert "does not answer" in device.problem
    with pytest.raises(DeviceSilent):
        claim(device, INTERFACE_SIGN)
    assert time.monotonic() - start_s < SOON_S


async def test_interface_is_claimed_once_and_only_who_has_it_announces_a_session(
    echo: EchoProcess,
) -> None:
    find_devices()
    echo.tell("announced 0")
    async with open_stream(INTERFACE_SIGN):
        echo.tell("announced 1")
        with pytest.raises(DeviceBusy):
            claim(choose(SERIAL), INTERFACE_SIGN)
        echo.tell("announced 0")
        async with open_stream(INTERFACE_MANAGE) as other:
            await other.send(b"other")
            assert await other.receive() == b"other"
    async with open_stream(INTERFACE_SIGN):
        pass


async def test_port_reset_takes_the_interface_from_whoever_has_it_and_the_board_works_on(
    echo: EchoProcess,
) -> None:
    async with open_stream(INTERFACE_SIGN) as stream:
        await trio.to_thread.run_sync(reset_port, choose(SERIAL))
        with trio.fail_after(SOON_S), pytest.raises((LinkLost, OSError)):
            await receive_exactly(stream, 1)
    wait_for_device(present=True)
    async with open_stream(INTERFACE_SIGN) as stream:
        await stream.send(b"back")
        with trio.fail_after(SOON_S):
            assert await stream.receive() == b"back"


def test_user_without_permission_is_told_of_the_udev_rule(echo: EchoProcess) -> None:
    os.seteuid(_NOBODY)
    try:
        (device,) = find_devices()
    finally:
        os.seteuid(0)
    assert (device.serial, device.readable, device.port_path) == (None, False, "1-1")
    assert "udev rule" in (device.problem or "")


async def test_board_that_came_and_went_is_seen_without_udev(echo: EchoProcess) -> None:
    before = choose(SERIAL)
    echo.unbind()
    with pytest.raises(NoDevice):
        choose(SERIAL)
    with pytest.raises(DeviceGone):
        claim(before, INTERFACE_SIGN)
    echo.bind()
    assert choose(SERIAL).address != before.address
    with pytest.raises(DeviceGone):
        claim(before, INTERFACE_SIGN)


async def test_every_size_is_echoed(echo: EchoProcess) -> None:
    with trio.fail_after(60):
        async with open_stream() as stream:
            for size in (1, 511, 512, 513, 1023, 1024, 1025, 16383, 16384, 16385, 262_144):
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(stream.send, pattern(size))
                    assert await receive_exactly(stream, size) == pattern(size)


async def test_cancelled_receive_returns_at_once_and_the_next_one_gets_the_bytes(
    echo: EchoProcess,
) -> None:
    async with open_stream() as stream:
        for turn in range(20):
            with trio.move_on_after(0.01) as scope:
                await stream.receive()
            assert scope.cancelled_caught
            assert trio.current_time() - scope.deadline < AT_ONCE_S
            await stream.send(pattern(100 + turn))
            assert await receive_exactly(stream, 100 + turn) == pattern(100 + turn)


async def test_cancelled_send_returns_at_once_and_the_stream_goes_on(echo: EchoProcess) -> None:
    async with open_stream() as stream:
        echo.tell(f"pause {INTERFACE_SIGN}")
        late_s = []
        await stream.send(b"the board holds this one")
        for _ in range(10):
            with trio.move_on_after(0.01) as scope:
                await stream.send(b"and takes none of these")
            assert scope.cancelled_caught
            late_s.append(trio.current_time() - scope.deadline)
        assert statistics.median(late_s) < AT_ONCE_S
        echo.tell(f"resume {INTERFACE_SIGN}")
        with trio.fail_after(SOON_S):
            assert await stream.receive() == b"the board holds this one"
            await stream.send(b"next")
            assert await stream.receive() == b"next"


async def test_board_that_leaves_in_mid_transfer_ends_everything_at_once(
    echo: EchoProcess,
) -> None:
    async with open_stream() as stream:
        echo.tell(f"pause {INTERFACE_SIGN}")
        await stream.send(b"the board holds this one")
        async with trio.open_nursery() as nursery:
            for use in (stream.receive, partial(stream.send, b"never taken")):
                nursery.start_soon(raises_lost, use)
            await wait_all_tasks_blocked(0.05)
            start_s = trio.current_time()
            echo.unbind()
        assert trio.current_time() - start_s < SOON_S
        await raises_lost(stream.receive)
        await raises_lost(partial(stream.send, b"too late"))
    echo.tell(f"resume {INTERFACE_SIGN}")
    echo.bind()
    with trio.fail_after(SOON_S):
        async with open_stream() as stream:
            await stream.send(b"back")
            while await stream.receive() != b"back":
                pass  # what the board held when it left


async def raises_lost(use: Callable[[], Awaitable[object]]) -> None:
    """What is on the bus just then may end with EIO, after which the broker tries again."""
    with trio.fail_after(SOON_S), pytest.raises(LinkLost):
        await use_again_after_eio(use)


async def use_again_after_eio(use: Callable[[], Awaitable[object]]) -> None:
    for _ in range(IN_TRANSFERS):
        try:
            await use()
        except OSError as error:
            if error.errno != errno.EIO:
                raise
    await use()


async def test_halted_endpoint_ends_the_stream_and_the_next_one_works(echo: EchoProcess) -> None:
    async with open_stream() as stream:
        echo.tell(f"stall {INTERFACE_SIGN}")
        with trio.fail_after(SOON_S), pytest.raises(OSError, match=r".") as caught:
            await stream.receive()
        assert caught.value.errno == errno.EPIPE
    async with open_stream() as stream:
        await stream.send(b"back")
        with trio.fail_after(SOON_S):
            assert await stream.receive() == b"back"


async def test_board_that_echoes_frames_is_no_board(echo: EchoProcess) -> None:
    """It gets our own request back, never an answer."""
    with trio.fail_after(30), pytest.raises(DeviceSilent):
        async with open_client(choose(SERIAL), INTERFACE_MANAGE):
            pytest.fail("it cannot be verified")


# What stays behind.


async def test_thousand_cancels_leave_nothing_behind(echo: EchoProcess) -> None:
    async with open_stream() as stream:
        echo.tell(f"pause {INTERFACE_SIGN}")
        await stream.send(b"the board holds this one")
        before = count_kept()
        for _ in range(500):
            for use in (stream.receive, partial(stream.send, b"x")):
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(use)
                    await wait_all_tasks_blocked()
                    nursery.cancel_scope.cancel()
        fds, threads = count_kept()
        assert fds == before[0]
        assert threads <= before[1]


async def test_fifty_sessions_leave_nothing_behind(echo: EchoProcess) -> None:
    async with open_stream():
        device = choose(SERIAL)
    before = count_kept()
    for _ in range(50):
        stream = UsbStream(claim(device, INTERFACE_SIGN))
        await stream.send(b"x")
        assert await stream.receive() == b"x"
        await stream.aclose()
    fds, threads = count_kept()
    assert fds == before[0]
    assert threads <= before[1] + 1  # trio keeps the idle worker that closed them


# How fast.


def median_ms(times_s: list[float]) -> float:
    return 1000 * statistics.median(times_s)


async def test_round_trip_costs_no_thread_switch(
    echo: EchoProcess, capsys: pytest.CaptureFixture[str]
) -> None:
    """Compared in turn: the machine's load changes from one second to the next."""
    data = bytes(150)
    times: dict[str, list[float]] = {"async": [], "sync": [], "sync in threads": []}
    async with open_stream(INTERFACE_SIGN) as stream, open_sync(INTERFACE_MANAGE) as sync:

        async def ask_async() -> None:
            await stream.send(data)
            await stream.receive()

        async def ask_sync() -> None:
            sync.write(data)
            sync.read()

        async def ask_in_threads() -> None:
            await trio.to_thread.run_sync(sync.write, data)
            await trio.to_thread.run_sync(sync.read)

        for _ in range(ROUND_TRIPS):
            for name, ask in zip(times, (ask_async, ask_sync, ask_in_threads), strict=True):
                start_s = time.perf_counter()
                await ask()
                times[name].append(time.perf_counter() - start_s)
    with capsys.disabled():
        for name, taken_s in times.items():
            best_ms = 1000 * statistics.quantiles(taken_s, n=10)[0]
            print(f"round trip, {name}: {median_ms(taken_s):.2f} ms, {best_ms:.2f} the best tenth")
    assert median_ms(times["async"]) < median_ms(times["sync in threads"])
