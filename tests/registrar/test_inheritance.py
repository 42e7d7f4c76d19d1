"""What systemd passes on is judged: ordinary files and sockets stand for ep0 and sessions."""

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from registrar import notify
from registrar.ep0 import open_ep0
from registrar.errors import Ep0Refused
from registrar.inheritance import take_inheritance
from registrar.sockets import is_closed_by_peer
from tests.registrar.manager import Manager


@pytest.fixture
def manager(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Manager]:
    manager = Manager(tmp_path / "notify")
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
    monkeypatch.setattr("systemd.daemon.listen_fds_with_names", manager.pass_on)
    yield manager
    manager.close()


@pytest.fixture
def ep0(tmp_path: Path) -> Iterator[Path]:
    """A pipe's read end: poll says of it what it says of an ep0 that has its descriptors."""
    os.mkfifo(tmp_path / "ep0")
    writer = os.open(tmp_path / "ep0", os.O_RDWR)
    yield tmp_path / "ep0"
    os.close(writer)


def store_ep0(path: Path) -> None:
    """What a registrar does that is killed then."""
    fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    notify.store_descriptor("ep0", fd)
    os.close(fd)


def own_files(manager: Manager) -> int:
    """Descriptors that are open, but for those of the store."""
    manager.receive()
    return len(os.listdir("/proc/self/fd")) - len(manager.store)  # noqa: PTH208


def test_nothing_is_there_at_the_first_start(manager: Manager, ep0: Path) -> None:
    taken = take_inheritance(ep0)
    assert taken.ep0 is None
    assert taken.sessions == {}
    assert manager.receive() == []


def test_ep0_and_sessions_are_taken_and_stay_in_the_store(manager: Manager, ep0: Path) -> None:
    store_ep0(ep0)
    ours, theirs = socket.socketpair()
    with theirs:
        notify.store_descriptor("session-3", ours.fileno())
        ours.close()
        taken = take_inheritance(ep0)
        assert taken.ep0 is not None
        assert os.path.samestat(os.fstat(taken.ep0.fileno()), ep0.stat())
        taken.sessions["session-3"].send(b"!")
        assert theirs.recv(10) == b"!"
        taken.sessions["session-3"].close()
    taken.ep0.close()
    assert manager.names() == ["ep0", "session-3"]


def test_ep0_is_ours_alone(manager: Manager, ep0: Path) -> None:
    store_ep0(ep0)
    taken = take_inheritance(ep0)
    assert taken.ep0 is not None
    with pytest.raises(Ep0Refused, match="another process serves"):
        open_ep0(ep0)
    taken.ep0.close()
    with pytest.raises(Ep0Refused, match="another process serves"):
        open_ep0(ep0)  # systemd has it, for the process that it starts next
    notify.remove_stored("ep0")
    manager.receive()
    open_ep0(ep0).close()


def test_ep0_of_another_mount_is_refused_and_removed(
    manager: Manager, ep0: Path, caplog: pytest.LogCaptureFixture
) -> None:
    store_ep0(ep0)
    ep0.unlink()
    os.mkfifo(ep0)
    before = own_files(manager)
    assert take_inheritance(ep0).ep0 is None
    assert "found another file" in caplog.records[0].__dict__["reason"]
    assert own_files(manager) == before
    assert manager.names() == []


def test_ep0_without_descriptors_is_refused(manager: Manager, tmp_path: Path) -> None:
    """A pipe's write end stands for it: only writing is possible."""
    path = tmp_path / "ep0"
    os.mkfifo(path)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    writer = os.open(path, os.O_WRONLY | os.O_NONBLOCK)
    notify.store_descriptor("ep0", writer)
    os.close(writer)
    assert take_inheritance(path).ep0 is None
    assert manager.names() == []
    os.close(reader)


def test_of_several_ep0_one_is_taken_and_kept(manager: Manager, ep0: Path) -> None:
    for _ in range(3):
        store_ep0(ep0)
    before = own_files(manager)
    taken = take_inheritance(ep0)
    assert taken.ep0 is not None
    assert own_files(manager) == before + 1
    assert manager.names() == ["ep0"]
    assert os.path.samestat(os.fstat(manager.store[0][1]), os.fstat(taken.ep0.fileno()))
    taken.ep0.close()


@pytest.mark.parametrize("name", ["", "ep1", "stored", "session-8", "session"])
def test_unknown_names_are_closed_and_removed(manager: Manager, ep0: Path, name: str) -> None:
    store_ep0(ep0)
    with ep0.parent.joinpath("other").open("wb") as other:
        notify.store_descriptor(name, other.fileno())
    before = own_files(manager)
    taken = take_inheritance(ep0)
    assert taken.ep0 is not None
    assert own_files(manager) == before + 1
    assert manager.names() == ["ep0"]
    taken.ep0.close()


def test_session_that_is_no_socket_is_refused(manager: Manager, ep0: Path) -> None:
    with ep0.parent.joinpath("other").open("wb") as other:
        notify.store_descriptor("session-0", other.fileno())
    before = own_files(manager)
    assert take_inheritance(ep0).sessions == {}
    assert own_files(manager) == before
    assert manager.names() == []


def test_second_session_of_a_name_is_ended(manager: Manager, ep0: Path) -> None:
    pairs = [socket.socketpair() for _ in range(2)]
    for ours, theirs in pairs:
        notify.store_descriptor("session-0", ours.fileno())
        theirs.setblocking(False)
        ours.close()
    taken = take_inheritance(ep0)
    assert manager.names() == ["session-0"]
    assert not is_closed_by_peer(pairs[0][1])
    assert is_closed_by_peer(pairs[1][1])
    taken.sessions["session-0"].close()
    for _, theirs in pairs:
        theirs.close()
