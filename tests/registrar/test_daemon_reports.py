"""What the daemon passes on: announced sessions, wedges, and to systemd that it lives."""

import socket
import threading
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from registrar.events import EventType
from registrar.settings import Settings
from registrar.sockets import SESSION_ANNOUNCED, WEDGED
from tests.registrar.board import IS_READY, NOT_READY, READY, Board
from tests.registrar.loop import wait_until


def test_announced_session_reaches_the_gadget(board: Board, gadget: socket.socket) -> None:
    """Those of hosts that were told "ready", and that said that they open a session."""
    opening = replace(READY, wValue=1)
    assert board.ep0.request(opening) == NOT_READY
    board.ep0.push(EventType.ENABLE)
    wait_until(lambda: board.ask_ready() == IS_READY)
    server, _ = gadget.accept()
    with server:
        assert board.ep0.request(opening) == IS_READY
        assert board.ep0.request(opening) == IS_READY
        assert board.ask_ready() == IS_READY
        server.setblocking(False)
        assert server.recv(64) == 2 * SESSION_ANNOUNCED


def test_wedge_by_evidence_is_bounced(board: Board, gadget: socket.socket) -> None:
    board.ep0.push(EventType.ENABLE)
    wait_until(lambda: board.ask_ready() == IS_READY)
    server, _ = gadget.accept()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as attach, server:
        attach.bind(str(board.settings.attach_socket))
        attach.settimeout(10)
        server.send(WEDGED)
        assert attach.recv(100) == b"bounce"
        server.send(WEDGED)
        assert board.ask_ready() == IS_READY  # so the second one has been read, too
        assert board.ask_ready() == IS_READY
        attach.setblocking(False)
        with pytest.raises(BlockingIOError):
            attach.recv(100)


def test_watchdog_is_fed_only_while_the_loop_turns(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
    monkeypatch.setenv("WATCHDOG_USEC", "300000")
    monkeypatch.delenv("WATCHDOG_PID", raising=False)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(10)
        board = Board(settings)
        board.start()
        assert manager.recv(100).startswith(b"READY=1")
        for _ in range(5):  # nothing happens on the bus
            assert manager.recv(100) == b"WATCHDOG=1"
        goes_on = threading.Event()
        hung = threading.Event()

        def hang() -> bytes:
            hung.set()
            goes_on.wait()
            return b""

        monkeypatch.setattr(board.ep0, "read_events", hang)
        hung.wait(10)
        manager.settimeout(1)
        with suppress(TimeoutError):
            manager.recv(100)  # of the turn before
            manager.recv(100)
            pytest.fail("fed while ep0 hangs")
        goes_on.set()
        manager.settimeout(10)
        assert manager.recv(100) == b"WATCHDOG=1"
        board.stop()
