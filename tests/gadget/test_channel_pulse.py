"""How long a task of a broker may be busy, on each interface, before its session is given up."""

from pathlib import Path
from typing import cast

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from broker.contract import INTERFACE_MANAGE, INTERFACE_SIGN
from broker.frame import FrameType
from gadget.channel import PULSE_PERIOD_S, Channel
from gadget.endpoints import EndpointStream
from gadget.errors import PartStuckError
from gadget.rpc import Service
from tests.fakes.frames import RawEnd, number_id
from tests.fakes.streams import memory_streams


class SlowService:
    """Answers after so many seconds."""

    def __init__(self, busy_s: float) -> None:
        self._busy_s = busy_s

    async def answer(self, _interface: int, payload: bytes) -> bytes:
        await trio.sleep(self._busy_s)
        return payload


async def follow(interface: int, *, busy_s: float, for_s: float) -> None:
    """Sends one request, then checks the pulse as a session does. Raises: PartStuckError."""
    ours, theirs = memory_streams()
    channel = Channel(
        interface, cast("EndpointStream", theirs), cast("Service", SlowService(busy_s))
    )
    async with trio.open_nursery() as nursery:
        await nursery.start(channel.run)
        await RawEnd(ours).send(FrameType.REQUEST, number_id(1), b"request")
        await wait_all_tasks_blocked()
        for _ in range(int(for_s / PULSE_PERIOD_S)):
            await trio.sleep(PULSE_PERIOD_S)
            channel.check_pulse()
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize(("interface", "busy_s"), [(INTERFACE_SIGN, 29), (INTERFACE_MANAGE, 119)])
async def test_a_slow_request_is_waited_for(
    interface: int, busy_s: float, autojump_clock: MockClock
) -> None:
    await follow(interface, busy_s=busy_s, for_s=300)


@pytest.mark.parametrize(("interface", "limit_s"), [(INTERFACE_SIGN, 30), (INTERFACE_MANAGE, 120)])
async def test_a_request_that_does_not_end_is_given_up(
    interface: int, limit_s: float, autojump_clock: MockClock
) -> None:
    begun_s = trio.current_time()
    with pytest.RaisesGroup(
        pytest.RaisesExc(PartStuckError, match=f"interface {interface}: a wor")
    ):
        await follow(interface, busy_s=3600, for_s=300)
    assert limit_s < trio.current_time() - begun_s <= limit_s + 2 * PULSE_PERIOD_S


async def test_an_idle_channel_is_never_stuck(autojump_clock: MockClock) -> None:
    await follow(INTERFACE_SIGN, busy_s=0, for_s=3600)


def test_a_channel_that_does_not_run_has_no_pulse(tmp_path: Path) -> None:
    channel = Channel(
        INTERFACE_SIGN, cast("EndpointStream", object()), cast("Service", SlowService(0))
    )
    channel.check_pulse()
