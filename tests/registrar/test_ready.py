import logging
import os
import selectors
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from registrar.ready import ReadyLink
from registrar.sockets import (
    SESSION_ANNOUNCED,
    WEDGED,
    is_closed_by_peer,
    listen_local,
    remove_socket,
)
from tests.registrar.loop import turn_until

OWN = frozenset({os.getuid()})


class Wedges:
    def __init__(self) -> None:
        self.count = 0

    def ask(self) -> None:
        self.count += 1


class Clock:
    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ready.sock"


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def wedges() -> Wedges:
    return Wedges()


@pytest.fixture
def selector() -> Iterator[selectors.BaseSelector]:
    with selectors.DefaultSelector() as selector:
        yield selector


@pytest.fixture
def link(
    selector: selectors.BaseSelector, path: Path, clock: Clock, wedges: Wedges
) -> Iterator[ReadyLink]:
    link = ReadyLink(selector, path, allowed_uids=OWN, on_wedge=wedges.ask, clock=clock)
    yield link
    link.stop()


@pytest.fixture
def gadget(path: Path) -> Iterator[socket.socket]:
    listener = listen_local(path, 0o660)
    yield listener
    remove_socket(path, listener)


def connect(link: ReadyLink, clock: Clock) -> None:
    link.start()
    clock.now_s += 0.1
    link.connect_if_due()


def test_link_waits_for_ever_unless_started(link: ReadyLink) -> None:
    assert link.wait_s() is None
    assert not link.check()
    link.connect_if_due()
    assert link.wait_s() is None


def test_first_try_is_100_ms_after_the_start(
    link: ReadyLink, clock: Clock, gadget: socket.socket
) -> None:
    link.start()
    assert link.wait_s() == pytest.approx(0.1)
    link.connect_if_due()
    assert not link.check()
    clock.now_s += 0.1
    assert link.wait_s() == 0
    link.connect_if_due()
    assert link.check()
    assert link.wait_s() is None


def test_missing_gadget_is_asked_again_every_100_ms(
    link: ReadyLink, clock: Clock, path: Path
) -> None:
    link.start()
    for _ in range(3):
        clock.now_s += 0.1
        link.connect_if_due()
        assert not link.check()
        assert link.wait_s() == pytest.approx(0.1)
    listener = listen_local(path, 0o660)
    clock.now_s += 0.1
    link.connect_if_due()
    assert link.check()
    remove_socket(path, listener)


def test_late_loop_does_not_try_twice_at_once(link: ReadyLink, clock: Clock) -> None:
    link.start()
    clock.now_s += 60
    link.connect_if_due()
    assert link.wait_s() == pytest.approx(0.1)


def test_gadget_that_closes_is_not_ready_at_that_moment(
    link: ReadyLink, clock: Clock, gadget: socket.socket
) -> None:
    connect(link, clock)
    server, _ = gadget.accept()
    assert link.check()
    server.close()
    assert not link.check()  # no turn of the loop in between
    assert link.wait_s() == pytest.approx(0.1)


def test_gadget_that_dies_before_it_accepted_is_not_ready(
    link: ReadyLink, clock: Clock, gadget: socket.socket
) -> None:
    connect(link, clock)
    assert link.check()
    gadget.close()
    assert not link.check()


def test_selector_tells_of_the_end_too(
    link: ReadyLink,
    clock: Clock,
    gadget: socket.socket,
    selector: selectors.BaseSelector,
) -> None:
    connect(link, clock)
    server, _ = gadget.accept()
    server.close()
    turn_until(selector, lambda: link.wait_s() is not None)


def test_other_bytes_from_the_gadget_mean_nothing(
    link: ReadyLink, clock: Clock, gadget: socket.socket, wedges: Wedges
) -> None:
    connect(link, clock)
    server, _ = gadget.accept()
    server.send(b"\x00\x02\xff")
    assert link.check()
    assert not wedges.count
    server.close()


def test_gadget_tells_of_a_wedge(
    link: ReadyLink,
    clock: Clock,
    gadget: socket.socket,
    wedges: Wedges,
    selector: selectors.BaseSelector,
) -> None:
    connect(link, clock)
    server, _ = gadget.accept()
    for count in (1, 2):
        server.send(WEDGED)
        turn_until(selector, lambda count=count: wedges.count == count)  # type: ignore[misc]
    assert link.check()
    server.close()


def test_gadget_hears_of_announced_sessions(
    link: ReadyLink, clock: Clock, gadget: socket.socket
) -> None:
    link.announce()  # nobody there to tell
    connect(link, clock)
    server, _ = gadget.accept()
    server.setblocking(False)
    link.announce()
    link.announce()
    assert server.recv(64) == 2 * SESSION_ANNOUNCED
    server.close()


@pytest.mark.timeout(20)
def test_gadget_that_reads_nothing_never_holds_us_up(
    link: ReadyLink, clock: Clock, gadget: socket.socket
) -> None:
    connect(link, clock)
    server, _ = gadget.accept()
    for _ in range(100_000):
        link.announce()
    assert link.check()
    server.close()


def test_stop_closes_the_connection(
    link: ReadyLink, clock: Clock, gadget: socket.socket, selector: selectors.BaseSelector
) -> None:
    connect(link, clock)
    server, _ = gadget.accept()
    server.setblocking(False)
    link.stop()
    assert is_closed_by_peer(server)
    assert not link.check()
    assert link.wait_s() is None
    assert not selector.get_map()
    server.close()


def test_socket_served_by_a_stranger_does_not_count(
    selector: selectors.BaseSelector,
    path: Path,
    clock: Clock,
    gadget: socket.socket,
    caplog: pytest.LogCaptureFixture,
) -> None:
    link = ReadyLink(selector, path, allowed_uids=frozenset(), on_wedge=Wedges().ask, clock=clock)
    with caplog.at_level(logging.WARNING):
        connect(link, clock)
    assert not link.check()
    assert link.wait_s() == pytest.approx(0.1)
    assert "stranger" in caplog.text


def test_callback_of_a_connection_that_is_gone_does_nothing(
    link: ReadyLink, clock: Clock, gadget: socket.socket, selector: selectors.BaseSelector
) -> None:
    connect(link, clock)
    gadget.accept()[0].close()
    due = [key.data for key, _ in selector.select(0)]
    link.stop()
    connect(link, clock)
    for call in due:
        call()
    assert link.check()
