"""The tasks behind the ready socket show themselves, whether anybody comes or not."""

import os
from pathlib import Path

import pytest
import trio

from broker.pulse import Pulse
from gadget.ready import _ReadyServer, serve_ready

OURS = frozenset({os.geteuid()})
ROUND_S = 5.0


def count_none() -> int:
    return 0


async def pass_rounds(pulse: Pulse) -> list[int]:
    """How many were missed in each of twenty rounds."""
    missed = []
    for _ in range(20):
        missed.append(pulse.begin_round().rounds)
        await trio.sleep(ROUND_S)
    return missed


async def test_idle_and_connected_they_miss_no_round(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    path = tmp_path / "ready.sock"
    async with serve_ready(path, OURS, count_none) as pulse:
        await trio.sleep(ROUND_S)
        assert await pass_rounds(pulse) == [0] * 20
        async with await trio.open_unix_socket(path) as peer:
            assert await pass_rounds(pulse) == [0] * 20
            await peer.send_all(b"\x01")  # announced, and looked at for half a minute
            assert await pass_rounds(pulse) == [0] * 20


@pytest.mark.parametrize(("method", "task"), [("accept", "ready socket"), ("judge", "wedge judge")])
async def test_one_that_hangs_is_missed(
    tmp_path: Path,
    method: str,
    task: str,
    monkeypatch: pytest.MonkeyPatch,
    autojump_clock: trio.testing.MockClock,
) -> None:
    async def hang(server: _ReadyServer, *_: object) -> None:
        server.pulse.join(task)
        await trio.sleep_forever()

    monkeypatch.setattr(_ReadyServer, method, hang)
    async with serve_ready(tmp_path / "ready.sock", OURS, count_none) as pulse:
        for _ in range(5):
            await trio.sleep(ROUND_S)
            missed = pulse.begin_round()
        assert (missed.task, missed.rounds) == (task, 5)
