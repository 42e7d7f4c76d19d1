"""The registrar's announcements over the ready connection, and the gadget's word for it: on trio's
virtual clock, over real sockets."""

import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from trio.testing import MockClock, wait_all_tasks_blocked

from gadget.health.meters import UsbMeter
from gadget.ready import serve_ready
from registrar.sockets import SESSION_ANNOUNCED, WEDGED, connect_local
from tests.gadget.test_ready import EVERYBODY


class Registrar:
    """The other end of the connection."""

    def __init__(self, connection: socket.socket, clock: MockClock, usb: UsbMeter) -> None:
        self.connection = connection
        self._clock = clock
        self.transfers = 0
        self.usb = usb

    async def announce(self) -> None:
        self.connection.send(SESSION_ANNOUNCED)
        await wait_all_tasks_blocked(0.005)

    async def wait(self, seconds: int) -> None:
        for _ in range(seconds):
            self._clock.jump(1)
            await wait_all_tasks_blocked(0.005)

    def reports(self) -> int:
        """How many the gadget has sent since the last time."""
        try:
            data = self.connection.recv(100)
        except BlockingIOError:
            return 0
        assert not data.strip(WEDGED)
        return len(data)


@asynccontextmanager
async def connected(folder: Path, clock: MockClock) -> AsyncIterator[Registrar]:
    path = folder / "ready.sock"

    def transfers() -> int:
        return registrar.transfers

    usb = UsbMeter()
    async with serve_ready(path, EVERYBODY, transfers, usb):
        with connect_local(path) as connection:
            registrar = Registrar(connection, clock, usb)
            yield registrar


async def test_registrar_is_told_of_a_wedge_once_for_each_evidence(
    tmp_path: Path, mock_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    async with connected(tmp_path, mock_clock) as registrar:
        for _ in range(2):
            await registrar.announce()
            await registrar.wait(4)
            await registrar.announce()
            assert registrar.reports() == 0
            await registrar.wait(40)
            assert registrar.reports() == 1
    assert caplog.text.count("seems wedged") == registrar.usb.bounces == 2


async def test_host_that_tries_again_every_three_seconds_does_not_put_the_verdict_off(
    tmp_path: Path, mock_clock: MockClock
) -> None:
    async with connected(tmp_path, mock_clock) as registrar:
        for _ in range(4):
            await registrar.announce()
            await registrar.wait(3)
        assert registrar.reports() == 1


async def test_first_transfer_after_an_announcement_ends_the_suspicion(
    tmp_path: Path, mock_clock: MockClock
) -> None:
    async with connected(tmp_path, mock_clock) as registrar:
        for _ in range(5):
            await registrar.announce()
            await registrar.wait(4)
            registrar.transfers += 1
        assert registrar.reports() == 0


async def test_silence_without_announcements_is_no_evidence(
    tmp_path: Path, mock_clock: MockClock
) -> None:
    async with connected(tmp_path, mock_clock) as registrar:
        await registrar.announce()
        registrar.transfers += 1
        await registrar.wait(600)
        assert registrar.reports() == 0


async def test_bytes_that_mean_nothing_are_no_announcement(
    tmp_path: Path, mock_clock: MockClock
) -> None:
    async with connected(tmp_path, mock_clock) as registrar:
        for _ in range(3):
            registrar.connection.send(b"\x00\x02\xff")
            await registrar.wait(4)
        assert registrar.reports() == 0


async def test_transfers_that_came_while_this_process_was_stopped_count(
    tmp_path: Path, mock_clock: MockClock
) -> None:
    """The clock has jumped before the broker's reader has had its turn."""
    async with connected(tmp_path, mock_clock) as registrar:
        await registrar.announce()
        await registrar.wait(4)
        await registrar.announce()
        await registrar.wait(2)
        mock_clock.jump(8)
        await wait_all_tasks_blocked(0.005)
        registrar.transfers += 1
        await registrar.wait(20)
        assert registrar.reports() == 0


async def test_registrar_that_was_replaced_finds_the_evidence_kept(
    tmp_path: Path, mock_clock: MockClock
) -> None:
    async with connected(tmp_path, mock_clock) as first:
        await first.announce()
        await first.wait(4)
        with connect_local(tmp_path / "ready.sock") as connection:
            second = Registrar(connection, mock_clock, first.usb)
            await second.announce()
            await second.wait(10)
            assert second.reports() == 1
