import logging
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from registrar.bounce import Bouncer
from tests.registrar.test_ready import Clock


@pytest.fixture
def attach(tmp_path: Path) -> Iterator[socket.socket]:
    """attach-gadget's end."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as receiver:
        receiver.bind(str(tmp_path / "attach.sock"))
        yield receiver


def received(attach: socket.socket) -> list[bytes]:
    messages = []
    while True:
        try:
            messages.append(attach.recv(100))
        except BlockingIOError:
            return messages


def test_one_bounce_in_60_s_and_each_is_counted(
    tmp_path: Path, attach: socket.socket, caplog: pytest.LogCaptureFixture
) -> None:
    clock = Clock()
    bouncer = Bouncer(tmp_path / "attach.sock", clock=clock)
    for count in (1, 2, 3):
        for _ in range(60):
            bouncer.ask()
            assert bouncer.count == count
            clock.now_s += 1
        assert received(attach) == [b"bounce"]
    asked = [r for r in caplog.records if "bounce asked for" in r.message]
    assert [r.__dict__["bounces"] for r in asked] == [1, 2, 3]
    assert caplog.text.count("too soon") == 3 * 59


def test_bounce_that_nobody_took_is_none(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    bouncer = Bouncer(tmp_path / "attach.sock", clock=Clock())
    with caplog.at_level(logging.ERROR):
        bouncer.ask()
    assert "nobody takes a bounce" in caplog.text
    assert bouncer.count == 0
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as late:
        late.bind(str(tmp_path / "attach.sock"))
        bouncer.ask()
        assert received(late) == [b"bounce"]
    assert bouncer.count == 1


@pytest.mark.timeout(20)
def test_attach_gadget_that_hangs_holds_nobody_up(tmp_path: Path, attach: socket.socket) -> None:
    clock = Clock()
    bouncer = Bouncer(tmp_path / "attach.sock", clock=clock)
    for _ in range(5000):
        bouncer.ask()
        clock.now_s += 61
    assert 0 < bouncer.count < 5000
