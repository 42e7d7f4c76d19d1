"""When an outage is told, and what it tells to check."""

import re

import pytest

from host.errors import (
    DeviceBusy,
    DeviceGone,
    HostError,
    NoDevice,
    NoPermission,
    NotReady,
    SeveralDevices,
)
from host.outage import Outage, advise


def test_short_run_of_failures_is_no_alarm() -> None:
    outage = Outage()
    assert not any(outage.fail(tenth / 10) for tenth in range(99))


def test_few_attempts_are_no_alarm_however_long_they_take() -> None:
    outage = Outage()
    assert [outage.fail(now_s) for now_s in (0, 20, 40, 60)] == [False] * 4
    assert outage.fail(80)


def test_lasting_outage_is_told_once_and_the_next_one_again() -> None:
    outage = Outage()
    for start_s in (0, 1000):
        assert sum(outage.fail(start_s + second) for second in range(100)) == 1
        outage.end()


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (NoDevice("x"), "cable .* port .* power"),
        (DeviceGone("x"), "cable .* port .* power"),
        (NoPermission("x"), "udev rule"),
        (DeviceBusy("x"), "another process"),
        (NotReady("x"), "power"),
        (SeveralDevices("x"), "--device"),
    ],
)
def test_advice_fits_the_failure(error: HostError, text: str) -> None:
    assert re.search(text, advise(error))
