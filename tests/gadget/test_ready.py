"""The ready socket is there exactly as long as the block, for one peer, whom it may concern."""

import contextlib
import os
import socket
import stat
from pathlib import Path

import pytest
import trio

from gadget.ready import serve_ready

EVERYBODY = frozenset({os.geteuid()})


def no_transfers() -> int:
    return 0


async def connect(path: Path) -> trio.SocketStream:
    return await trio.open_unix_socket(path)


async def expect_end(stream: trio.SocketStream) -> None:
    """An end of file, or a reset where nobody had accepted yet."""
    with trio.fail_after(5), contextlib.suppress(trio.BrokenResourceError):
        assert await stream.receive_some(1) == b""


async def test_socket_accepts_during_the_block_and_is_gone_after_it(tmp_path: Path) -> None:
    path = tmp_path / "ready.sock"
    async with serve_ready(path, EVERYBODY, no_transfers):
        peer = await connect(path)
    async with peer:
        await expect_end(peer)
    assert not path.exists()
    with pytest.raises(OSError, match="No such file"):
        await connect(path)


async def test_a_new_peer_replaces_the_old_one(tmp_path: Path) -> None:
    path = tmp_path / "ready.sock"
    async with (
        serve_ready(path, EVERYBODY, no_transfers),
        await connect(path) as old,
        await connect(path) as new,
    ):
        await expect_end(old)
        with trio.move_on_after(0.05) as waiting:
            await new.receive_some(1)
        assert waiting.cancelled_caught


async def test_a_stale_socket_of_a_killed_daemon_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "ready.sock"
    with socket.socket(socket.AF_UNIX) as left_over:
        left_over.bind(str(path))
    async with serve_ready(path, EVERYBODY, no_transfers):
        await (await connect(path)).aclose()


async def test_only_owner_and_group_may_connect(tmp_path: Path) -> None:
    path = tmp_path / "ready.sock"
    async with serve_ready(path, EVERYBODY, no_transfers):
        assert stat.S_IMODE(path.stat().st_mode) == 0o660


async def test_a_peer_of_another_account_is_hung_up_on(tmp_path: Path) -> None:
    path = tmp_path / "ready.sock"
    async with (
        serve_ready(path, frozenset({os.geteuid() + 1}), no_transfers),
        await connect(path) as peer,
    ):
        await expect_end(peer)


async def test_a_thousand_reconnects_leak_nothing(tmp_path: Path) -> None:
    path = tmp_path / "ready.sock"
    async with serve_ready(path, EVERYBODY, no_transfers):
        async with await connect(path):
            before = set(os.listdir("/proc/self/fd"))  # noqa: PTH208
        for _ in range(1000):
            async with await connect(path):
                pass
        last = await connect(path)
        await last.aclose()
        # The last peers may still be on their way to being replaced: one descriptor more at most.
        assert len(os.listdir("/proc/self/fd")) <= len(before) + 1  # noqa: PTH208
