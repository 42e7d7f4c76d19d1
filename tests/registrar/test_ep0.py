"""Ep0File where the kernel is not needed: which errno means what. The rest: tests/kernel/."""

import errno
import fcntl
import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from registrar.ep0 import Ep0File, Outcome, open_ep0
from registrar.errors import Ep0Gone, Ep0Refused
from registrar.events import EventType
from tests.fakes.ep0 import encode_event
from tests.registrar.loop import signals_coming

Answer = Callable[[Ep0File], Outcome]

ANSWERS: list[Answer] = [lambda e: e.reply(b"1"), Ep0File.stall_in, Ep0File.stall_out]
LOST = "EIDRM ESRCH EINVAL ESHUTDOWN ENODEV ECONNRESET EOVERFLOW EPROTO EPIPE EIO ETIMEDOUT ENOMEM"


@pytest.fixture
def pair() -> Iterator[tuple[Ep0File, socket.socket]]:
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    ep0 = Ep0File(ours.detach())
    with theirs:
        yield ep0, theirs
    ep0.close()


@pytest.fixture
def fail(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Makes reads and writes of ep0 fail with an errno, as the kernel can."""

    def install(number: int) -> None:
        def refuse(_fd: int, _what: object) -> int:
            raise OSError(number, os.strerror(number))

        monkeypatch.setattr("registrar.ep0.os.read", refuse)
        monkeypatch.setattr("registrar.ep0.os.write", refuse)

    return install


def test_events_come_as_the_kernel_wrote_them(pair: tuple[Ep0File, socket.socket]) -> None:
    ep0, kernel = pair
    events = encode_event(EventType.BIND) + encode_event(EventType.ENABLE)
    kernel.send(events)
    assert ep0.read_events() == events
    assert ep0.read_events() == b""


@pytest.mark.parametrize("name", ["EAGAIN", "EIDRM", "EL2HLT"])
def test_read_without_an_event_is_no_error(
    pair: tuple[Ep0File, socket.socket], fail: Callable[[int], None], name: str
) -> None:
    fail(getattr(errno, name))
    assert pair[0].read_events() == b""


@pytest.mark.parametrize("name", ["ESHUTDOWN", "EBADFD", "ENODEV", "EINVAL", "EIO", "EUCLEAN"])
def test_any_other_error_of_a_read_means_that_ep0_is_gone(
    pair: tuple[Ep0File, socket.socket], fail: Callable[[int], None], name: str
) -> None:
    fail(getattr(errno, name))
    with pytest.raises(Ep0Gone):
        pair[0].read_events()


def test_end_of_file_means_that_ep0_is_gone(pair: tuple[Ep0File, socket.socket]) -> None:
    pair[1].close()
    with pytest.raises(Ep0Gone, match="end of file"):
        pair[0].read_events()


@pytest.mark.parametrize("answer", ANSWERS)
@pytest.mark.parametrize("name", LOST.split())
def test_answer_that_the_host_does_not_fetch_is_lost(
    pair: tuple[Ep0File, socket.socket], fail: Callable[[int], None], name: str, answer: Answer
) -> None:
    fail(getattr(errno, name))
    assert answer(pair[0]) is Outcome.LOST


@pytest.mark.parametrize("answer", ANSWERS)
def test_stalled_is_done(
    pair: tuple[Ep0File, socket.socket], fail: Callable[[int], None], answer: Answer
) -> None:
    fail(errno.EL2HLT)
    assert answer(pair[0]) is Outcome.DONE


@pytest.mark.parametrize("answer", ANSWERS)
@pytest.mark.parametrize("name", ["EBADFD", "EBADF", "EUCLEAN"])
def test_any_other_error_of_an_answer_means_that_ep0_is_gone(
    pair: tuple[Ep0File, socket.socket], fail: Callable[[int], None], name: str, answer: Answer
) -> None:
    fail(getattr(errno, name))
    with pytest.raises(Ep0Gone):
        answer(pair[0])


def test_signal_ends_a_reply_that_the_host_does_not_fetch() -> None:
    reader, writer = os.pipe()  # a full pipe blocks, as a host does that died
    os.write(writer, bytes(fcntl.fcntl(writer, fcntl.F_GETPIPE_SZ)))
    ep0 = Ep0File(writer)
    with signals_coming(ep0.interrupt_reply):
        assert ep0.reply(b"nobody reads this") is Outcome.LOST
    ep0.interrupt_reply()  # no reply is waiting: nothing happens
    ep0.close()
    os.close(reader)


def test_descriptors_that_the_kernel_does_not_take_are_reported(
    pair: tuple[Ep0File, socket.socket], fail: Callable[[int], None]
) -> None:
    fail(errno.EINVAL)
    with pytest.raises(Ep0Refused, match="Invalid argument"):
        pair[0].write_descriptors(b"d", b"s")


def test_descriptors_go_before_strings(pair: tuple[Ep0File, socket.socket]) -> None:
    pair[0].write_descriptors(b"descriptors", b"strings")
    assert pair[1].recv(100) == b"descriptorsstrings"


def test_missing_ep0_is_reported_with_its_path(tmp_path: Path) -> None:
    with pytest.raises(Ep0Refused, match=r"ep0: No such file"):
        open_ep0(tmp_path / "ep0")


def test_open_ep0_does_not_wait_and_is_not_inherited(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "ep0")
    ep0 = open_ep0(tmp_path / "ep0")
    assert not os.get_blocking(ep0.fileno())
    assert not os.get_inheritable(ep0.fileno())
    ep0.close()
