"""The board's report as the host reads it: of any version, and any junk."""

import json
from dataclasses import asdict, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.health_messages import CLOCK_EPOCH_UNIX_S
from gadget.health.judge import Judge
from gadget.health.report import Sample, encode_report
from host.errors import BadAnswer
from host.health_report import HealthReport, clock_at, parse_health
from host.health_screen import health_lines
from tests.gadget.health.samples import GOOD, with_key

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=20,
)


def report_of(sample: Sample) -> HealthReport:
    return parse_health(encode_report(Judge(lambda _boottime_s: None).judge(sample)))


def screen(report: HealthReport) -> str:
    return "\n".join(line.text for line in health_lines(report, "a1"))


def test_what_the_board_tells_is_read() -> None:
    report = report_of(with_key(lock_state="locked"))
    assert (report.status, report.score) == ("degraded", 90)
    assert [(alert.code, alert.level) for alert in report.alerts] == [("key_locked", "warning")]
    assert report.number("software_health.memory.rss_bytes") == 40_000_000
    assert report.number("checks.keys_ready") == 0
    assert report.text("board.model") == "Raspberry Pi Zero 2 W Rev 1.0"
    assert len(report.rows("keys.keys")) == 2
    assert report.number("no.such.field") is None
    assert report.text("health_score") is None
    assert report.rows("board.model") == ()


def test_the_screen_says_what_is_wrong_and_what_to_do() -> None:
    text = screen(report_of(with_key(lock_state="locked")))
    assert "board a1: degraded" in text
    assert "warning: locked: consensus" in text
    assert "  - tezsign unlock" in text
    assert "BAD  keys" in text
    assert "1 of 2 unlocked" in text


def test_the_screen_of_a_healthy_board_has_no_advice() -> None:
    text = screen(report_of(GOOD))
    assert "healthy" in text
    assert "what to do" not in text
    assert "BAD" not in text
    assert "p50     4.00" in text


@pytest.mark.parametrize(
    "data", [b"", b"[]", b"{}", b'{"status": "fine"}', b"\xff", b"[" * 5000, b'{"status": 3}']
)
def test_what_is_no_report_is_a_bad_answer(data: bytes) -> None:
    with pytest.raises(BadAnswer):
        parse_health(data)


@given(st.dictionaries(st.sampled_from([*asdict(GOOD), "alerts", "checks", "x"]), JSON))
def test_a_board_of_another_version_is_shown_as_far_as_it_is_known(fields: dict[str, Any]) -> None:
    report = parse_health(json.dumps({"status": "healthy", **fields}).encode())
    screen(report)


def test_the_clock_is_told_only_where_it_can_be_right() -> None:
    assert clock_at(CLOCK_EPOCH_UNIX_S + 5.9) == 5
    assert clock_at(0) is None
    assert clock_at(CLOCK_EPOCH_UNIX_S + 2**31) is None


def test_a_report_without_parts_is_shown() -> None:
    report = parse_health(b'{"status": "critical"}')
    assert "critical" in screen(report)
    assert report == replace(report)
