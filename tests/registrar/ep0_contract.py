"""What any ep0 does, the fake one and the kernel's. Subclasses give `ep0` and `host`.

In each test the host's side runs in a thread, since it waits for the board's side.
"""

import select
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Protocol

import pytest

from registrar.ep0 import Ep0, Outcome
from registrar.events import Event, Setup, parse_event, split_events

__all__ = ["Ep0Contract", "Host", "HostGaveUp", "Stalled"]

ASK_IN = Setup(bmRequestType=0xC1, bRequest=0x21, wValue=0, wIndex=1, wLength=64)
ASK_IN_NOTHING = Setup(bmRequestType=0xC1, bRequest=0x22, wValue=0, wIndex=0, wLength=0)
SEND_OUT = Setup(bmRequestType=0x41, bRequest=0x23, wValue=0, wIndex=0, wLength=32)
SEND_OUT_NOTHING = Setup(bmRequestType=0x41, bRequest=0x24, wValue=7, wIndex=0, wLength=0)


class Stalled(Exception):
    """The board refused the host's request."""


class HostGaveUp(Exception):
    """No answer came in the time that the host waits."""


class Host(Protocol):
    def request(self, setup: Setup, *, timeout_s: float = ...) -> bytes: ...


Ask = Callable[[Setup], "Future[bytes]"]


def take_setup(ep0: Ep0, timeout_s: float = 10.0) -> Setup:
    """Waits for a control request; other events on the way to it are dropped."""
    while True:
        assert select.select([ep0], [], [], timeout_s)[0], "no request came"
        for event in read_events(ep0):
            if event.setup is not None:
                return event.setup


def read_events(ep0: Ep0) -> list[Event]:
    return [parse_event(record) for record in split_events(ep0.read_events())]


class Ep0Contract:
    gives_up_s = 0.05

    @pytest.fixture
    def ask(self, host: Host) -> Iterator[Ask]:
        with ThreadPoolExecutor(max_workers=1) as pool:

            def submit(setup: Setup) -> "Future[bytes]":
                return pool.submit(host.request, setup)

            yield submit

    def test_request_arrives_as_the_host_sent_it(self, ep0: Ep0, ask: Ask) -> None:
        answer = ask(ASK_IN)
        assert take_setup(ep0) == ASK_IN
        assert ep0.reply(b"!") is Outcome.DONE
        assert answer.result() == b"!"

    def test_reply_is_cut_to_what_the_host_asked_for(self, ep0: Ep0, ask: Ask) -> None:
        answer = ask(ASK_IN)
        take_setup(ep0)
        assert ep0.reply(bytes(range(100))) is Outcome.DONE
        assert answer.result() == bytes(range(64))

    @pytest.mark.parametrize("setup", [ASK_IN, ASK_IN_NOTHING])
    def test_empty_reply_is_an_answer(self, ep0: Ep0, ask: Ask, setup: Setup) -> None:
        answer = ask(setup)
        take_setup(ep0)
        assert ep0.reply(b"") is Outcome.DONE
        assert answer.result() == b""

    @pytest.mark.parametrize("setup", [ASK_IN, ASK_IN_NOTHING])
    def test_stall_in_refuses_a_device_to_host_request(
        self, ep0: Ep0, ask: Ask, setup: Setup
    ) -> None:
        answer = ask(setup)
        take_setup(ep0)
        assert ep0.stall_in() is Outcome.DONE
        with pytest.raises(Stalled):
            answer.result()
        self.assert_goes_on(ep0, ask)

    @pytest.mark.parametrize("setup", [SEND_OUT, SEND_OUT_NOTHING])
    def test_stall_out_refuses_a_host_to_device_request(
        self, ep0: Ep0, ask: Ask, setup: Setup
    ) -> None:
        answer = ask(setup)
        take_setup(ep0)
        assert ep0.stall_out() is Outcome.DONE
        with pytest.raises(Stalled):
            answer.result()
        self.assert_goes_on(ep0, ask)

    def test_stall_in_the_wrong_direction_is_an_empty_answer(self, ep0: Ep0, ask: Ask) -> None:
        answer = ask(ASK_IN)
        take_setup(ep0)
        assert ep0.stall_out() is Outcome.LOST
        assert answer.result() == b""

    def test_request_without_an_answer_is_stalled_by_the_next_read(
        self, ep0: Ep0, ask: Ask
    ) -> None:
        answer = ask(ASK_IN)
        take_setup(ep0)
        assert ep0.read_events() == b""
        with pytest.raises(Stalled):
            answer.result()
        self.assert_goes_on(ep0, ask)

    @pytest.mark.parametrize("late", ["reply", "stall_in", "read"])
    def test_answer_to_a_request_that_the_host_gave_up_is_lost(
        self, ep0: Ep0, host: Host, ask: Ask, late: str
    ) -> None:
        with pytest.raises(HostGaveUp):
            host.request(ASK_IN, timeout_s=self.gives_up_s)
        assert take_setup(ep0) == ASK_IN
        with pytest.raises(HostGaveUp):
            host.request(ASK_IN_NOTHING, timeout_s=self.gives_up_s)
        match late:
            case "reply":
                assert ep0.reply(b"too late") is Outcome.LOST
            case "stall_in":
                assert ep0.stall_in() is Outcome.LOST
            case _:
                assert ep0.read_events() == b""
        assert take_setup(ep0) == ASK_IN_NOTHING
        assert ep0.read_events() == b""
        self.assert_goes_on(ep0, ask)

    def test_answer_without_a_request_is_lost_and_takes_no_event(self, ep0: Ep0, ask: Ask) -> None:
        answer = ask(ASK_IN)
        assert select.select([ep0], [], [], 10)[0]
        assert ep0.stall_in() is Outcome.LOST
        assert ep0.stall_out() is Outcome.LOST
        assert ep0.reply(b"!") is Outcome.LOST
        assert take_setup(ep0) == ASK_IN
        ep0.reply(b"?")
        assert answer.result() == b"?"

    def test_nothing_to_read_is_no_error(self, ep0: Ep0) -> None:
        while ep0.read_events():
            pass
        assert not select.select([ep0], [], [], 0)[0]
        assert ep0.read_events() == b""

    def test_request_is_open_from_its_reading_to_its_answer(self, ep0: Ep0, ask: Ask) -> None:
        assert not ep0.wants_descriptors()
        answer = ask(ASK_IN)
        assert select.select([ep0], [], [], 10)[0]
        assert not ep0.has_open_request()
        take_setup(ep0)
        assert ep0.has_open_request()
        assert not ep0.wants_descriptors()
        ep0.reply(b"!")
        assert not ep0.has_open_request()
        assert answer.result() == b"!"

    @pytest.mark.parametrize("setup", [SEND_OUT, SEND_OUT_NOTHING])
    def test_reply_to_a_host_to_device_request_stalls_it(
        self, ep0: Ep0, ask: Ask, setup: Setup
    ) -> None:
        """So who does not know which request is open may always reply."""
        answer = ask(setup)
        take_setup(ep0)
        ep0.reply(b"12345678")
        with pytest.raises(Stalled):
            answer.result()
        assert not ep0.has_open_request()
        self.assert_goes_on(ep0, ask)

    def assert_goes_on(self, ep0: Ep0, ask: Ask) -> None:
        answer = ask(ASK_IN)
        assert take_setup(ep0) == ASK_IN
        assert ep0.reply(b"still here") is Outcome.DONE
        assert answer.result() == b"still here"
