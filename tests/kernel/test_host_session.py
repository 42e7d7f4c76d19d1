"""The persistent session against the real board on a real kernel. Run with:

python -m tests.lab -- pytest -p no:cacheprovider tests/kernel/test_host_session.py
"""

import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio

from broker.contract import INTERFACE_MANAGE, INTERFACE_SIGN, PROTOCOL_VERSION
from host.discover import choose
from host.errors import DeviceBusy
from host.session import PersistentSession, open_client
from tests.kernel.board import Board, open_board

# The emulated machine starts a daemon in seconds where a board takes tenths of one.
PATIENCE_S = 60.0
REPLUGS = 5


@pytest.fixture(scope="module")
def board(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Board]:
    folder = tmp_path_factory.mktemp("board")
    with open_board(folder, folder / "data") as board:
        board.start_gadget()
        yield board


@asynccontextmanager
async def open_persistent() -> AsyncIterator[PersistentSession]:
    session = PersistentSession(None, INTERFACE_SIGN)
    with trio.fail_after(PATIENCE_S):
        async with trio.open_nursery() as nursery:
            await nursery.start(session.run)
            await session.wait_up()
            yield session
            nursery.cancel_scope.cancel()


async def test_both_interfaces_answer_at_once_and_a_second_host_is_refused(board: Board) -> None:
    async with open_persistent() as session:
        device = await trio.to_thread.run_sync(choose, session.serial)
        async with open_client(device, INTERFACE_MANAGE) as manage:
            assert (await manage.version()).protocol == PROTOCOL_VERSION
            assert await session.client.status() == ()
        with pytest.raises(DeviceBusy):
            async with open_client(device, INTERFACE_SIGN):
                pytest.fail("claimed twice")
        assert await session.client.status() == ()


async def test_session_comes_back_after_each_replug(board: Board) -> None:
    async with open_persistent() as session:
        descriptors = []
        for number in range(1, REPLUGS + 1):
            board.assets.detach()
            board.assets.attach()
            await session.wait_up(number)
            assert await session.client.status() == ()
            descriptors.append(count_descriptors())
        assert descriptors[-1] == descriptors[0]
        assert session.counters().lost == REPLUGS


async def test_gadget_that_was_killed_is_used_again_when_it_is_back(
    board: Board, capsys: pytest.CaptureFixture[str]
) -> None:
    async with open_persistent() as session:
        assert await session.client.status() == ()
        board.end_gadget(signal.SIGKILL)
        await trio.to_thread.run_sync(board.start_gadget)
        start_s = trio.current_time()
        assert await session.client.status() == ()
        with capsys.disabled():
            print(f"answer {trio.current_time() - start_s:.2f} s after ready", session.counters())


async def test_request_under_which_the_gadget_dies_is_answered_by_the_next_one(
    board: Board,
) -> None:
    async with open_persistent() as session:
        board.end_gadget(signal.SIGKILL)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(session.client.status)
            await trio.to_thread.run_sync(board.start_gadget)


def count_descriptors() -> int:
    return len([*Path("/proc/self/fd").iterdir()])
