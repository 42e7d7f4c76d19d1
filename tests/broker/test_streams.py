"""The streams that the tests of this package use are streams like the real ones."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from broker.stream import ByteStream
from tests.contract_stream import CHECKS, StreamCheck
from tests.fakes.streams import LossyStream, memory_streams


@asynccontextmanager
async def open_memory_streams() -> AsyncIterator[tuple[ByteStream, ByteStream]]:
    yield memory_streams()


@asynccontextmanager
async def open_lossless_streams() -> AsyncIterator[tuple[ByteStream, ByteStream]]:
    first, second = memory_streams()
    yield (
        LossyStream(first, seed=1),
        LossyStream(second, seed=1),
    )


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
async def test_memory_stream_keeps_the_contract(check: StreamCheck) -> None:
    await check(open_memory_streams)


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
async def test_lossy_stream_without_loss_keeps_the_contract(check: StreamCheck) -> None:
    await check(open_lossless_streams)
