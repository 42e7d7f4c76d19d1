"""Chains of writes on a real io_uring: order, outcomes, failures, and what a cancel leaves."""

import errno
import os
import resource
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest
import trio

from gadget.errors import SlotsInUseError
from gadget.uring import WriteRing, open_write_ring
from gadget.uring_abi import CQE, SQE

_OLD = b"o" * 4096
_NEW = b"n" * 4096


@pytest.fixture
def ring() -> Iterator[WriteRing]:
    ring = open_write_ring()
    yield ring
    ring.close()


@pytest.fixture
def files(tmp_path: Path) -> Iterator[tuple[int, int]]:
    fds = []
    for name in "ab":
        (tmp_path / name).write_bytes(_OLD)
        fds.append(os.open(tmp_path / name, os.O_RDWR))
    yield (fds[0], fds[1])
    for fd in fds:
        os.close(fd)


def contents(files: tuple[int, int]) -> list[bytes]:
    return [os.pread(fd, 9999, 0) for fd in files]


def test_structures_have_the_sizes_of_their_tables() -> None:
    assert (SQE.size, CQE.size) == (64, 16)


async def test_both_blocks_are_there_when_the_chain_has_ended(
    ring: WriteRing, files: tuple[int, int]
) -> None:
    chain = ring.start([(files[0], _NEW), (files[1], _NEW)], files[1])
    await chain.wait()
    assert chain.has_succeeded()
    assert contents(files) == [_NEW, _NEW]


async def test_rings_turn_round(ring: WriteRing, files: tuple[int, int]) -> None:
    for number in range(100):
        block = struct.pack("<I", number) * 1024
        await ring.start([(files[0], block), (files[1], block)], files[1]).wait()
        assert contents(files) == [block, block]


async def test_a_failed_write_names_its_cause_and_the_rest_is_not_done(
    ring: WriteRing, files: tuple[int, int], tmp_path: Path
) -> None:
    read_only = os.open(tmp_path / "a", os.O_RDONLY)
    chain = ring.start([(read_only, _NEW), (files[1], _NEW)], files[1])
    with pytest.raises(OSError, match="Bad file descriptor") as caught:
        await chain.wait()
    assert caught.value.errno == errno.EBADF
    assert not chain.has_succeeded()
    assert contents(files) == [_OLD, _OLD]
    os.close(read_only)


async def test_a_full_disk_is_the_disks_own_error(ring: WriteRing) -> None:
    full = os.open("/dev/full", os.O_RDWR)
    with pytest.raises(OSError, match="No space left"):
        await ring.start([(full, _NEW)], full).wait()
    os.close(full)


async def test_a_short_write_is_an_error(
    ring: WriteRing, files: tuple[int, int], tmp_path: Path
) -> None:
    (tmp_path / "b").write_bytes(b"")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
    try:
        with pytest.raises(OSError, match="Input/output"):
            await ring.start([(files[1], _NEW), (files[0], _NEW)], files[0]).wait()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert contents(files) == [_OLD, _NEW[:1000]]


async def test_after_a_failure_the_ring_works_on(ring: WriteRing, files: tuple[int, int]) -> None:
    with pytest.raises(OSError, match="Bad file descriptor"):
        await ring.start([(9999, _NEW)], files[1]).wait()
    await ring.start([(files[0], _NEW)], files[0]).wait()
    assert contents(files) == [_NEW, _OLD]


async def test_one_ring_carries_one_chain(ring: WriteRing, files: tuple[int, int]) -> None:
    chain = ring.start([(files[0], _NEW)], files[0])
    if not chain.is_done:
        with pytest.raises(SlotsInUseError):
            ring.start([(files[1], _NEW)], files[1])
    await chain.wait()
    assert ring.is_free()


async def test_a_ring_that_a_task_still_waits_for_is_not_free(
    ring: WriteRing, files: tuple[int, int]
) -> None:
    """Whoever took it would take that task's news, and could not wait beside it."""
    rings = [ring]

    async def write_often() -> None:
        for _ in range(60):
            free = next((one for one in rings if one.is_free()), None)
            if free is None:
                free = open_write_ring()
                rings.append(free)
            await free.start([(files[0], _NEW), (files[1], _NEW)], files[1]).wait()

    with trio.fail_after(60):
        async with trio.open_nursery() as nursery:
            for _ in range(4):
                nursery.start_soon(write_often)
    for one in rings[1:]:
        one.close()


async def test_a_cancelled_wait_leaves_the_chain_to_end(
    ring: WriteRing, files: tuple[int, int]
) -> None:
    chain = ring.start([(files[0], _NEW)], files[0])
    with trio.CancelScope() as scope:
        scope.cancel()
        await chain.wait()
    await chain.wait()
    assert contents(files) == [_NEW, _OLD]


async def test_rings_leave_no_descriptor() -> None:
    def count() -> int:
        return len(list(Path("/proc/self/fd").iterdir()))

    open_write_ring().close()
    before = count()
    for _ in range(50):
        open_write_ring().close()
    assert count() == before
