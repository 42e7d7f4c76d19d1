"""Cancelled at every step: what is open is given back, and the next request is answered."""

import math

import pytest
import trio

from broker.contract import INTERFACE_SIGN
from host.connection import open_session
from host.session import PersistentSession
from tests.host.session_bench import ADDRESS, open_bench, open_persistent

# More than an open session, or a signature, takes; the tests see to that.
STEPS = range(60)


async def cancel_after(scope: trio.CancelScope, steps: int) -> None:
    for _ in range(steps):
        await trio.lowlevel.checkpoint()
    scope.cancel()


async def test_session_that_is_cancelled_while_it_opens_leaves_nothing_open() -> None:
    opened = []
    for steps in STEPS:
        async with open_bench() as bench, trio.open_nursery() as nursery:
            nursery.start_soon(cancel_after, nursery.cancel_scope, steps)
            connection = await bench.connect(None, INTERFACE_SIGN)
            async with open_session(connection.stream):
                opened.append(steps)
                await trio.sleep(math.inf)
        bench.assert_nothing_is_open()
    assert STEPS[0] not in opened
    assert STEPS[-1] in opened


async def test_persistent_session_that_is_cancelled_leaves_nothing_open() -> None:
    opened = []
    for steps in STEPS:
        async with open_bench() as bench:
            session = PersistentSession(None, INTERFACE_SIGN, connect=bench.connect)
            async with trio.open_nursery() as nursery:
                nursery.start_soon(cancel_after, nursery.cancel_scope, steps)
                nursery.start_soon(session.run)
            opened.append(session.counters().opened)
            bench.assert_nothing_is_open()
    assert opened[0] == 0
    assert opened[-1] == 1


@pytest.mark.parametrize("call", ["sign", "ping"])
async def test_request_that_is_cancelled_costs_the_next_one_nothing(call: str) -> None:
    cancelled = 0
    async with open_bench() as bench, open_persistent(bench.connect) as session:
        await session.wait_up()
        for steps in STEPS:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(cancel_after, nursery.cancel_scope, steps)
                if call == "sign":
                    await session.client.sign(ADDRESS, b"x")
                else:
                    await session.client.ping()
            cancelled += nursery.cancel_scope.cancelled_caught
            assert await session.client.sign(ADDRESS, b"y") == b"y" * 64
        assert session.counters().opened == 1
        assert session.problem is None
    assert 0 < cancelled < len(STEPS)
