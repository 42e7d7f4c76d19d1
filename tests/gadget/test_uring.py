"""Syncs on a real io_uring: outcomes, failures, several rings at once, and what a cancel leaves."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import trio
import trio.testing

from gadget.errors import SlotsInUseError
from gadget.uring import SyncRing, open_sync_ring
from gadget.uring_abi import CQE, SQE


@pytest.fixture
def ring() -> Iterator[SyncRing]:
    ring = open_sync_ring()
    yield ring
    ring.close()


@pytest.fixture
def file(tmp_path: Path) -> Iterator[int]:
    with (tmp_path / "file").open("wb", buffering=0) as file:
        file.write(bytes(4096))
        yield file.fileno()


def test_structures_have_the_sizes_of_their_tables() -> None:
    assert (SQE.size, CQE.size) == (64, 16)


async def test_a_sync_ends_and_says_so(ring: SyncRing, file: int) -> None:
    for _ in range(100):
        sync = ring.start(file)
        await sync.wait()
        assert sync.is_done
        assert sync.has_succeeded()


async def test_a_sync_that_fails_says_why(ring: SyncRing, file: int) -> None:
    reader, writer = os.pipe()  # pipes can't be synced
    sync = ring.start(writer)
    with pytest.raises(OSError, match="Invalid argument"):
        await sync.wait()
    assert sync.is_done
    assert not sync.has_succeeded()
    await ring.start(file).wait()
    os.close(reader)
    os.close(writer)


async def test_the_outcome_of_one_is_never_that_of_the_next(ring: SyncRing, file: int) -> None:
    failed = ring.start(9999)
    with pytest.raises(OSError, match="Bad file descriptor"):
        await failed.wait()
    good = ring.start(file)
    await good.wait()
    assert (failed.has_succeeded(), good.has_succeeded()) == (False, True)


async def test_one_ring_carries_one_sync(ring: SyncRing, file: int) -> None:
    sync = ring.start(file)
    if not sync.is_done:
        with pytest.raises(SlotsInUseError):
            ring.start(file)
    await sync.wait()
    assert ring.is_free()


async def test_a_cancelled_wait_leaves_the_sync_to_end(ring: SyncRing, file: int) -> None:
    sync = ring.start(file)
    with trio.CancelScope() as scope:
        scope.cancel()
        await sync.wait()
    await sync.wait()
    assert sync.has_succeeded()


async def test_a_ring_that_a_task_waits_for_is_not_free(ring: SyncRing, file: int) -> None:
    """Whoever looked would take the news, and the waiting task would sleep for ever."""
    with trio.fail_after(10):
        async with trio.open_nursery() as nursery:
            sync = ring.start(file)
            nursery.start_soon(sync.wait)
            while not (ring._is_awaited or sync.is_done):
                await trio.lowlevel.checkpoint()
            while not _has_completed(ring):
                pass  # this task keeps its turn: the waiting one can't run
            assert sync.is_done or not ring.is_free()
    assert ring.is_free()


def _has_completed(ring: SyncRing) -> bool:
    queues = ring._ring.queues
    return queues[ring._ring.cq_tail : ring._ring.cq_tail + 4] == ring._count.to_bytes(4, "little")


async def test_many_rings_at_once_lose_no_completion(tmp_path: Path) -> None:
    rings = [open_sync_ring() for _ in range(4)]

    async def use(ring: SyncRing, name: str) -> None:
        with (tmp_path / name).open("wb", buffering=0) as file:
            for _ in range(200):
                os.pwrite(file.fileno(), bytes(4096), 0)
                await ring.start(file.fileno()).wait()

    with trio.fail_after(60):
        async with trio.open_nursery() as nursery:
            for number, ring in enumerate(rings):
                nursery.start_soon(use, ring, str(number))
    for ring in rings:
        ring.close()


async def test_rings_leave_no_descriptor() -> None:
    def count() -> int:
        return len(list(Path("/proc/self/fd").iterdir()))

    open_sync_ring().close()
    before = count()
    for _ in range(50):
        open_sync_ring().close()
    assert count() == before
