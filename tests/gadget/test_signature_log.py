"""One line for each signature, off its path, within bounds, and none lost at the end."""

import logging

import pytest
import trio

from gadget.part import Part
from gadget.signature_log import SignatureLog
from tests.payloads import attestation

ADDRESS = "tz4AQcKaQU1sUzsmPTX43qnK4ddkCeeknJnf"


@pytest.fixture(autouse=True)
def _info(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)


async def test_a_line_comes_at_the_next_turn_and_carries_what_was_signed(
    caplog: pytest.LogCaptureFixture,
) -> None:
    log = SignatureLog()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(log.run, Part("log"))
        await trio.testing.wait_all_tasks_blocked()
        log.note(ADDRESS, attestation("tz4", 7, 3), log.now())
        assert not caplog.records
        await trio.testing.wait_all_tasks_blocked()
        (line,) = caplog.records
        nursery.cancel_scope.cancel()
    fields = line.__dict__
    assert line.message == "signed"
    assert (fields["key"], fields["kind"]) == (ADDRESS, "attestation")
    assert (fields["level"], fields["round"]) == (7, 3)


async def test_what_is_held_at_the_end_is_written(caplog: pytest.LogCaptureFixture) -> None:
    log = SignatureLog()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(log.run, Part("log"))
        await trio.testing.wait_all_tasks_blocked()
        log.note(ADDRESS, attestation("tz4", 7, 0), log.now())
        nursery.cancel_scope.cancel()
    assert [record.message for record in caplog.records] == ["signed"]


async def test_over_the_bound_the_eldest_are_dropped_and_counted(
    caplog: pytest.LogCaptureFixture,
) -> None:
    log = SignatureLog()
    for level in range(1030):
        log.note(ADDRESS, attestation("tz4", level, 0), log.now())
    async with trio.open_nursery() as nursery:
        nursery.start_soon(log.run, Part("log"))
        await trio.testing.wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
    assert [record.__dict__["level"] for record in caplog.records[:1]] == [6]
    assert caplog.records[-1].message == "signature lines dropped"
    assert caplog.records[-1].__dict__["count"] == 6
    assert len(caplog.records) == 1025
