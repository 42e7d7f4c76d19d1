from collections.abc import Iterator
from pathlib import Path

import pytest

from registrar.report import Report
from tests.registrar.manager import Manager
from tests.registrar.test_ready import Clock


@pytest.fixture
def manager(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Manager]:
    manager = Manager(tmp_path / "notify")
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
    monkeypatch.delenv("WATCHDOG_PID", raising=False)
    monkeypatch.setenv("WATCHDOG_USEC", "60000000")
    yield manager
    manager.close()


def test_first_report_is_ready_and_later_ones_tell_changes_only(
    manager: Manager, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("WATCHDOG_USEC")
    report = Report(clock=Clock())
    for status in ("usb unbound", "usb unbound", "usb enabled", "usb enabled", "usb unbound"):
        report.turned(status)
    assert manager.receive() == [
        "READY=1\nSTATUS=usb unbound",
        "STATUS=usb enabled",
        "STATUS=usb unbound",
    ]
    assert report.wait_s() is None


def test_watchdog_is_fed_three_times_in_its_limit(manager: Manager) -> None:
    clock = Clock()
    report = Report(clock=clock)
    fed = 0
    for _ in range(601):
        report.turned("usb enabled")
        fed += manager.receive().count("WATCHDOG=1")
        clock.now_s += 0.1
    assert fed in {3, 4}


def test_wait_ends_when_the_watchdog_is_due(manager: Manager) -> None:
    clock = Clock()
    report = Report(clock=clock)
    assert report.wait_s() == 0
    report.turned("usb enabled")
    assert report.wait_s() == pytest.approx(20)
    clock.now_s += 19
    assert report.wait_s() == pytest.approx(1)
    clock.now_s += 10
    assert report.wait_s() == 0


def test_loop_that_does_not_turn_feeds_nothing(manager: Manager) -> None:
    clock = Clock()
    report = Report(clock=clock)
    report.turned("usb enabled")
    manager.receive()
    clock.now_s += 600
    assert report.wait_s() == 0
    assert manager.receive() == []
