"""Errors of the stream: which pass with back-off, which end the link; the order of senders."""

import errno
import logging

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from broker.contract import PARTIAL_FRAME_S
from broker.errors import LinkLost
from broker.link import Link
from tests.fakes.streams import MemoryStream, memory_streams

DELAYS_S = [0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.0, 1.0]


def problem(code: int) -> OSError:
    return OSError(code, errno.errorcode[code])


async def test_errors_that_may_pass_are_tried_again_with_back_off(
    autojump_clock: MockClock,
) -> None:
    ours, theirs = memory_streams()
    link = Link(ours)
    await theirs.send(b"data")
    for errors, use in ((ours.errors_in, link.receive), (ours.errors_out, lambda: link.send(b"x"))):
        errors.extend(problem(errno.ESHUTDOWN) for _ in DELAYS_S)
        start_s = trio.current_time()
        await use()
        assert trio.current_time() - start_s == pytest.approx(sum(DELAYS_S))


async def test_success_resets_the_back_off(autojump_clock: MockClock) -> None:
    ours, theirs = memory_streams()
    link = Link(ours)
    for _ in range(3):
        ours.errors_in.extend(problem(errno.EAGAIN) for _ in range(3))
        await theirs.send(b"data")
        start_s = trio.current_time()
        await link.receive()
        assert trio.current_time() - start_s == pytest.approx(0.07)


async def test_end_of_file_may_pass(autojump_clock: MockClock) -> None:
    ours, theirs = memory_streams()
    link = Link(ours)
    await theirs.aclose()
    with trio.move_on_after(60) as scope:
        await link.receive()
    assert scope.cancelled_caught


async def test_file_that_ended_is_asked_once_a_second(autojump_clock: MockClock) -> None:
    class Ended(MemoryStream):
        asked = 0

        async def receive(self) -> bytes:
            self.asked += 1
            return b""

    ours, theirs = memory_streams()
    ended = Ended(ours._incoming, ours._outgoing)
    with trio.move_on_after(100):
        await Link(ended).receive()
    assert 90 < ended.asked < 120
    assert theirs is not ended


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (problem(errno.EPIPE), "EPIPE"),
        (problem(errno.EBADF), "EBADF"),
        (OSError("odd"), "OSError"),
        (trio.ClosedResourceError(), "ClosedResourceError"),
        (trio.BrokenResourceError(), "BrokenResourceError"),
        (LinkLost("the board left"), "the board left"),
    ],
)
async def test_any_other_error_ends_the_link_at_once(error: Exception, reason: str) -> None:
    ours, _ = memory_streams()
    link = Link(ours)
    for errors, use in ((ours.errors_in, link.receive), (ours.errors_out, lambda: link.send(b"x"))):
        errors.append(error)
        with pytest.raises(LinkLost) as caught:
            await use()
        assert reason in caught.value.reason


async def test_interruption_is_logged_once(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "broker")
    ours, theirs = memory_streams()
    ours.errors_in.extend(problem(errno.ENODEV) for _ in range(20))
    await theirs.send(b"data")
    await Link(ours).receive()
    assert [record.message for record in caplog.records] == [
        "link interrupted",
        "link works again",
    ]


async def test_senders_take_turns() -> None:
    ours, theirs = memory_streams(capacity=1)
    link = Link(ours)
    async with trio.open_nursery() as nursery:
        for letter in b"abc":
            nursery.start_soon(link.send, bytes([letter]) * 40_000)
            await wait_all_tasks_blocked()
        got = b""
        while len(got) < 120_000:
            got += await theirs.receive()
    assert got == b"a" * 40_000 + b"b" * 40_000 + b"c" * 40_000


async def test_cancelled_senders_let_the_next_one_send() -> None:
    """One is cancelled in the stream, one while it waits for its turn."""
    ours, theirs = memory_streams(capacity=1)
    link = Link(ours)
    await link.send(b"full")
    async with trio.open_nursery() as nursery:
        for _ in range(2):
            nursery.start_soon(link.send, b"never")
            await wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
    assert await theirs.receive() == b"full"
    with trio.fail_after(5):
        await link.send(b"next")
    assert await theirs.receive() == b"next"


async def test_nothing_is_sent_after_a_torn_frame_until_it_is_given_up(
    autojump_clock: MockClock,
) -> None:
    ours, theirs = memory_streams(capacity=1)
    link = Link(ours)
    with trio.move_on_after(1):
        await link.send(bytes(40_000))  # one transfer of three fits
    await theirs.receive()
    torn_s = trio.current_time()
    await link.send(b"next")
    assert trio.current_time() - torn_s == pytest.approx(2 * PARTIAL_FRAME_S)
    await theirs.receive()
    await link.send(b"third")
    assert trio.current_time() - torn_s == pytest.approx(2 * PARTIAL_FRAME_S)


async def test_frame_of_one_packet_is_never_torn(autojump_clock: MockClock) -> None:
    ours, theirs = memory_streams(capacity=1)
    link = Link(ours)
    await link.send(b"full")
    with trio.move_on_after(1):
        await link.send(bytes(512))
    await theirs.receive()
    start_s = trio.current_time()
    await link.send(b"next")
    assert trio.current_time() == start_s
