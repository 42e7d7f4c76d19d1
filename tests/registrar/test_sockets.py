import os
import socket
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from registrar.sockets import (
    BACKLOG,
    connect_local,
    is_closed_by_peer,
    listen_local,
    peer_uid,
    remove_socket,
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "a.sock"


@pytest.fixture
def listener(path: Path) -> Iterator[socket.socket]:
    sock = listen_local(path, 0o660)
    yield sock
    remove_socket(path, sock)


def leave_stale(path: Path) -> None:
    """What a killed process leaves: the file, and nobody behind it."""
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(str(path))


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o777])
@pytest.mark.parametrize("mode", [0o600, 0o660, 0o666])
def test_socket_has_the_mode_asked_for_under_any_umask(path: Path, umask: int, mode: int) -> None:
    before = os.umask(umask)
    try:
        sock = listen_local(path, mode)
        assert stat.S_IMODE(path.stat().st_mode) == mode
        assert os.umask(umask) == umask
    finally:
        os.umask(before)
    remove_socket(path, sock)


def test_socket_is_never_wider_than_its_mode(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []
    chmod = Path.chmod

    def look_first(file: Path, mode: int) -> None:
        seen.append(stat.S_IMODE(file.stat().st_mode))
        chmod(file, mode)

    monkeypatch.setattr(Path, "chmod", look_first)
    before = os.umask(0)
    try:
        remove_socket(path, listen_local(path, 0o600))
    finally:
        os.umask(before)
    assert seen == [0o600]


def test_listening_socket_does_not_wait(listener: socket.socket) -> None:
    with pytest.raises(BlockingIOError):
        listener.accept()


def test_stale_file_is_replaced(path: Path) -> None:
    leave_stale(path)
    sock = listen_local(path, 0o600)
    connect_local(path).close()
    remove_socket(path, sock)


def test_socket_that_somebody_serves_is_left_alone(path: Path, listener: socket.socket) -> None:
    with pytest.raises(OSError, match="another process serves"):
        listen_local(path, 0o660)
    connect_local(path).close()
    assert listener.fileno() >= 0


def test_socket_whose_queue_is_full_is_left_alone(path: Path, listener: socket.socket) -> None:
    waiting = [connect_local(path) for _ in range(BACKLOG + 1)]
    with pytest.raises(BlockingIOError):
        connect_local(path)
    with pytest.raises(OSError, match="another process serves"):
        listen_local(path, 0o660)
    for sock in waiting:
        sock.close()
    assert listener.fileno() >= 0


@pytest.mark.parametrize("kind", ["file", "folder", "link"])
def test_what_is_no_socket_is_left_alone(path: Path, kind: str) -> None:
    match kind:
        case "file":
            path.write_text("precious")
        case "folder":
            path.mkdir()
        case _:
            path.symlink_to("precious")
    with pytest.raises(FileExistsError):
        listen_local(path, 0o660)
    assert path.lstat()


def test_missing_folder_leaks_nothing(tmp_path: Path) -> None:
    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208
    with pytest.raises(FileNotFoundError):
        listen_local(tmp_path / "no" / "a.sock", 0o660)
    assert len(os.listdir("/proc/self/fd")) == before  # noqa: PTH208


def test_remove_takes_the_file_away(path: Path) -> None:
    sock = listen_local(path, 0o660)
    remove_socket(path, sock)
    assert not path.exists()
    assert sock.fileno() == -1


def test_remove_without_a_file_only_closes(path: Path, listener: socket.socket) -> None:
    path.unlink()
    remove_socket(path, listener)
    assert listener.fileno() == -1


def test_remove_leaves_the_socket_of_a_successor(path: Path) -> None:
    first = listen_local(path, 0o660)
    path.unlink()
    second = listen_local(path, 0o660)
    remove_socket(path, first)
    connect_local(path).close()
    remove_socket(path, second)
    assert not path.exists()


def test_remove_leaves_a_file_that_it_did_not_make(path: Path) -> None:
    leave_stale(path)
    remove_socket(path, socket.socket(socket.AF_UNIX))
    assert path.exists()


def test_connect_fails_at_once_where_nobody_listens(path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        connect_local(path)
    leave_stale(path)
    with pytest.raises(ConnectionRefusedError):
        connect_local(path)


def test_both_ends_see_the_user_of_the_other(path: Path, listener: socket.socket) -> None:
    with connect_local(path) as client:
        server, _ = listener.accept()
        with server:
            assert peer_uid(server) == os.getuid()
        assert peer_uid(client) == os.getuid()


def test_peer_is_closed_only_once_it_has_closed() -> None:
    ours, theirs = socket.socketpair()
    with ours:
        ours.setblocking(False)
        assert not is_closed_by_peer(ours)
        theirs.send(b"ignored")
        assert not is_closed_by_peer(ours)
        theirs.close()
        assert is_closed_by_peer(ours)


def test_peer_that_died_with_unread_bytes_is_closed() -> None:
    ours, theirs = socket.socketpair()
    with ours:
        ours.setblocking(False)
        ours.send(b"never read")
        theirs.close()
        assert is_closed_by_peer(ours)
