"""Peers on memory streams, started for one test and stopped after it."""

from collections.abc import Awaitable, Callable
from typing import Protocol

import pytest
import trio

from broker.errors import LinkLost
from broker.peer import Peer


class StartPeer(Protocol):
    async def __call__(self, peer: Peer) -> None:
        """Runs the peer until the end of the test, or of its link."""


async def _run_to_its_end(
    peer: Peer, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
) -> None:
    try:
        await peer.run(task_status=task_status)
    except LinkLost:
        return


@pytest.fixture
def start_peer(nursery: trio.Nursery) -> Callable[[Peer], Awaitable[None]]:
    async def start(peer: Peer) -> None:
        await nursery.start(_run_to_its_end, peer)

    return start
