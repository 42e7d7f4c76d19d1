"""The fake ep0 does what the kernel's does.

tests/kernel/test_registrar.py runs the same contract on that one.
"""

from collections.abc import Iterator

import pytest

from registrar.events import EventType
from tests.fakes.ep0 import FakeEp0
from tests.registrar.ep0_contract import Ep0Contract, read_events


@pytest.fixture
def fake() -> Iterator[FakeEp0]:
    ep0 = FakeEp0()
    assert ep0.wants_descriptors()
    ep0.write_descriptors(b"descriptors", b"strings")
    yield ep0
    ep0.close()


class TestFakeEp0(Ep0Contract):
    @pytest.fixture
    def ep0(self, fake: FakeEp0) -> FakeEp0:
        return fake

    @pytest.fixture
    def host(self, fake: FakeEp0) -> FakeEp0:
        return fake


@pytest.mark.parametrize(
    ("pushed", "left"),
    [
        ("BIND ENABLE", "ENABLE"),
        ("ENABLE DISABLE", "DISABLE"),
        ("ENABLE DISABLE ENABLE", "ENABLE"),
        ("ENABLE SUSPEND", "ENABLE SUSPEND"),
        ("ENABLE SUSPEND RESUME", "ENABLE RESUME"),
        ("SUSPEND DISABLE", "SUSPEND DISABLE"),
        ("RESUME SUSPEND DISABLE UNBIND", "RESUME SUSPEND UNBIND"),
    ],
)
def test_queued_events_are_dropped_as_the_kernel_does(
    fake: FakeEp0, pushed: str, left: str
) -> None:
    for name in pushed.split():
        fake.push(EventType[name])
    assert " ".join(event.type.name for event in read_events(fake)) == left
