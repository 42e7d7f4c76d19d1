import logging
import os
import selectors
import socket
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from registrar.enabled import EnabledServer
from registrar.errors import SocketRefused
from registrar.sockets import connect_local, is_closed_by_peer, listen_local, remove_socket
from tests.registrar.loop import turn_until

OWN = frozenset({os.getuid()})
NAMES = ("session-0", "session-1", "session-2")
NOBODY = frozenset[int]()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "enabled.sock"


@pytest.fixture
def selector() -> Iterator[selectors.BaseSelector]:
    with selectors.DefaultSelector() as selector:
        yield selector


@pytest.fixture
def server(selector: selectors.BaseSelector, path: Path) -> Iterator[EnabledServer]:
    server = EnabledServer(selector, path, allowed_uids=OWN, names=NAMES)
    yield server
    server.stop()


def open_files() -> int:
    return len(os.listdir("/proc/self/fd"))  # noqa: PTH208


def connect(server: EnabledServer, selector: selectors.BaseSelector, path: Path) -> socket.socket:
    count = server.connection_count
    client = connect_local(path)
    turn_until(selector, lambda: server.connection_count == count + 1)
    return client


def test_socket_is_there_from_start_to_stop(server: EnabledServer, path: Path) -> None:
    assert not path.exists()
    server.start()
    assert stat.S_ISSOCK(path.stat().st_mode)
    server.stop()
    assert not path.exists()


def test_owner_and_group_may_connect_and_nobody_else(server: EnabledServer, path: Path) -> None:
    server.start()
    assert stat.S_IMODE(path.stat().st_mode) == 0o660


def test_connection_lasts_until_stop(
    server: EnabledServer, selector: selectors.BaseSelector, path: Path
) -> None:
    server.start()
    with connect(server, selector, path) as client:
        assert not is_closed_by_peer(client)
        server.stop()
        assert is_closed_by_peer(client)
    assert server.connection_count == 0
    assert not selector.get_map()


def test_connection_nobody_accepted_yet_is_closed_by_stop_too(
    server: EnabledServer, path: Path
) -> None:
    server.start()
    with connect_local(path) as client:
        server.stop()
        assert is_closed_by_peer(client)


def test_socket_file_is_gone_before_a_client_hears_of_the_stop(
    server: EnabledServer, selector: selectors.BaseSelector, path: Path
) -> None:
    server.start()
    with connect(server, selector, path):
        server.stop()
        with pytest.raises(FileNotFoundError):
            connect_local(path)


def test_client_that_leaves_is_forgotten(
    server: EnabledServer, selector: selectors.BaseSelector, path: Path
) -> None:
    server.start()
    connect(server, selector, path).close()
    turn_until(selector, lambda: server.connection_count == 0)


def test_bytes_from_a_client_mean_nothing(
    server: EnabledServer, selector: selectors.BaseSelector, path: Path
) -> None:
    server.start()
    with connect(server, selector, path) as client:
        client.send(b"x" * 1000)
        turn_until(selector, lambda: not selector.select(0))
        assert not is_closed_by_peer(client)


def test_one_connection_too_many_closes_the_eldest(
    server: EnabledServer, selector: selectors.BaseSelector, path: Path
) -> None:
    server.start()
    clients = [connect(server, selector, path) for _ in range(3)]
    clients.append(connect_local(path))
    turn_until(selector, lambda: is_closed_by_peer(clients[0]))
    assert server.connection_count == 3
    assert not any(is_closed_by_peer(client) for client in clients[1:])
    for client in clients:
        client.close()


def test_stranger_is_closed_at_once_and_reported(
    selector: selectors.BaseSelector, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    server = EnabledServer(selector, path, allowed_uids=NOBODY)
    server.start()
    with connect_local(path) as client, caplog.at_level(logging.WARNING):
        turn_until(selector, lambda: is_closed_by_peer(client))
    assert server.connection_count == 0
    assert "refused" in caplog.text
    server.stop()


def test_stale_socket_of_a_killed_registrar_is_replaced(server: EnabledServer, path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    server.start()
    connect_local(path).close()


def test_stale_socket_is_removed_before_usb_is_enabled(server: EnabledServer, path: Path) -> None:
    server.clean()
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    server.clean()
    assert not path.exists()


def test_cleaning_leaves_what_somebody_else_serves(server: EnabledServer, path: Path) -> None:
    other = listen_local(path, 0o600)
    server.clean()
    connect_local(path).close()
    remove_socket(path, other)


def test_second_server_at_the_same_path_is_refused(server: EnabledServer, path: Path) -> None:
    other = listen_local(path, 0o600)
    with pytest.raises(SocketRefused, match="another process"):
        server.start()
    remove_socket(path, other)


def test_thousand_connections_leave_nothing_behind(
    server: EnabledServer, selector: selectors.BaseSelector, path: Path
) -> None:
    server.start()
    before = open_files()
    for _ in range(1000):
        connect_local(path).close()
        for _turn in range(2):
            for key, _ in selector.select(0):
                key.data()
    turn_until(selector, lambda: server.connection_count == 0)
    assert open_files() == before


def test_hundred_sessions_leave_nothing_behind(
    server: EnabledServer, selector: selectors.BaseSelector, path: Path
) -> None:
    before = open_files()
    for _ in range(100):
        server.start()
        with connect(server, selector, path):
            server.stop()
    assert open_files() == before
    assert not selector.get_map()


def test_callbacks_of_a_stopped_session_do_nothing(
    server: EnabledServer, selector: selectors.BaseSelector, path: Path
) -> None:
    server.start()
    client = connect(server, selector, path)
    client.close()
    waiting = connect_local(path)
    due = [key.data for key, _ in selector.select(0)]
    assert len(due) == 2
    server.stop()
    for call in due:
        call()
    server.start()
    for call in due:
        call()
    assert server.connection_count == 0
    waiting.close()
