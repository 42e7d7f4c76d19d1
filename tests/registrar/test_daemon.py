"""The daemon over the fake ep0, in a thread: what a gadget and a host see of it."""

import os
import selectors
import signal
import socket
from contextlib import suppress

import pytest

from registrar.daemon import Registrar
from registrar.errors import Ep0Gone, SocketRefused
from registrar.events import EventType, Setup
from registrar.settings import Settings
from registrar.sockets import (
    connect_local,
    is_closed_by_peer,
    listen_local,
    remove_socket,
)
from tests.fakes.ep0 import FakeEp0, encode_event
from tests.registrar.board import IS_READY, NOT_READY, Board
from tests.registrar.ep0_contract import Stalled
from tests.registrar.loop import wait_until


def wait_closed(connection: socket.socket) -> None:
    connection.setblocking(False)
    wait_until(lambda: is_closed_by_peer(connection))


def test_enabled_socket_is_served_from_enable_to_disable(board: Board) -> None:
    board.ep0.push(EventType.BIND)
    assert board.ask_ready() == NOT_READY  # so BIND has been handled
    assert not board.settings.enabled_socket.exists()
    board.ep0.push(EventType.ENABLE)
    with board.connect() as connection:
        assert board.ask_ready() == NOT_READY
        assert not is_closed_by_peer(connection)
        board.ep0.push(EventType.DISABLE)
        wait_closed(connection)
    board.wait_gone()


def test_enabled_socket_is_served_again_after_every_disable(board: Board) -> None:
    for _ in range(100):
        board.ep0.push(EventType.ENABLE)
        with board.connect() as connection:
            board.ep0.push(EventType.DISABLE)
            wait_closed(connection)
        board.wait_gone()


@pytest.mark.parametrize("last", [EventType.DISABLE, EventType.UNBIND, EventType.BIND])
def test_socket_goes_whichever_event_ends_the_session(board: Board, last: EventType) -> None:
    board.ep0.push(EventType.ENABLE)
    with board.connect() as connection:
        board.ep0.push(last)
        wait_closed(connection)
    board.wait_gone()


def test_enable_after_enable_is_a_new_session(board: Board) -> None:
    board.ep0.push(EventType.ENABLE)
    with board.connect() as old:
        board.ask_ready()
        board.ep0.push(EventType.ENABLE)
        wait_closed(old)
        with board.connect() as new:
            board.ask_ready()
            assert not is_closed_by_peer(new)


def test_enable_after_suspend_is_a_new_session(board: Board) -> None:
    board.ep0.push(EventType.ENABLE)
    with board.connect() as old:
        board.ask_ready()
        board.ep0.push(EventType.SUSPEND)
        board.ep0.push(EventType.ENABLE)
        wait_closed(old)
        board.connect().close()


def test_suspend_and_resume_keep_the_session(board: Board) -> None:
    board.ep0.push(EventType.ENABLE)
    with board.connect() as connection:
        for event in (EventType.SUSPEND, EventType.RESUME, EventType.SUSPEND):
            board.ep0.push(event)
            board.ask_ready()
        assert not is_closed_by_peer(connection)


def test_ready_flag_follows_the_ready_socket(board: Board, gadget: socket.socket) -> None:
    board.ep0.push(EventType.ENABLE)
    gadget.setblocking(True)
    for _ in range(3):
        server, _address = gadget.accept()
        wait_until(lambda: board.ask_ready() == IS_READY)
        server.close()
        assert board.ask_ready() == NOT_READY


def test_gadget_that_is_ready_counts_only_while_usb_is_enabled(
    board: Board, gadget: socket.socket
) -> None:
    board.ep0.push(EventType.BIND)
    assert board.ask_ready() == NOT_READY
    board.ep0.push(EventType.ENABLE)
    wait_until(lambda: board.ask_ready() == IS_READY)
    server, _ = gadget.accept()
    with server:
        board.ep0.push(EventType.DISABLE)
        assert board.ask_ready() == NOT_READY
        wait_closed(server)


def test_new_session_asks_the_gadget_anew(board: Board, gadget: socket.socket) -> None:
    board.ep0.push(EventType.ENABLE)
    wait_until(lambda: board.ask_ready() == IS_READY)
    server, _ = gadget.accept()
    with server:
        board.ep0.push(EventType.ENABLE)
        assert board.ask_ready() == NOT_READY
        wait_closed(server)
    wait_until(lambda: board.ask_ready() == IS_READY)


def test_suspended_device_is_not_ready_until_it_resumes(settings: Settings) -> None:
    """Turn by turn, since a request that reaches the device means that it is awake."""
    ep0 = FakeEp0()
    listener = listen_local(settings.ready_socket, 0o660)
    with selectors.DefaultSelector() as selector:
        registrar = Registrar(ep0, selector, settings)
        ep0.push(EventType.ENABLE)
        registrar.turn()  # enabled
        registrar.turn()  # 100 ms later: ready
        connection, _ = listener.accept()
        connection.setblocking(False)
        ep0.push(EventType.SUSPEND)
        registrar.turn()
        assert settings.enabled_socket.exists()
        assert not registrar.check_ready()
        ep0.push(EventType.RESUME)
        registrar.turn()
        assert registrar.check_ready()
        assert not is_closed_by_peer(connection)
        registrar.close()
    connection.close()
    remove_socket(settings.ready_socket, listener)
    ep0.close()


def test_unknown_requests_stall_and_the_device_goes_on(board: Board) -> None:
    for kind in (0xC1, 0x41, 0x21, 0xA1):
        for length in (0, 64):
            unknown = Setup(bmRequestType=kind, bRequest=0x33, wValue=0, wIndex=0, wLength=length)
            with pytest.raises(Stalled):
                board.ep0.request(unknown)
            assert board.ask_ready() == NOT_READY


def test_unknown_event_is_skipped(board: Board, monkeypatch: pytest.MonkeyPatch) -> None:
    take = board.ep0.read_events
    unknown = encode_event(EventType.BIND)[:8] + b"\x2a\0\0\0"

    def read_events() -> bytes:
        data = take()
        return unknown + data + unknown if data else data

    monkeypatch.setattr(board.ep0, "read_events", read_events)
    board.ep0.push(EventType.ENABLE)
    board.connect().close()
    assert board.ask_ready() == NOT_READY


def test_request_and_session_in_one_read_are_both_served(board: Board) -> None:
    board.ep0.push(EventType.ENABLE)
    assert board.ask_ready() == NOT_READY
    assert board.settings.enabled_socket.exists()


def test_stop_takes_the_sockets_away_and_closes_all(board: Board, gadget: socket.socket) -> None:
    board.ep0.push(EventType.ENABLE)
    connection = board.connect()
    gadget.setblocking(True)
    server, _ = gadget.accept()
    server.setblocking(False)
    board.send_signal(signal.SIGTERM)
    board.ended.result(timeout=10)
    assert not board.settings.enabled_socket.exists()
    assert is_closed_by_peer(connection)
    assert is_closed_by_peer(server)
    connection.close()
    server.close()


def test_alarm_that_ended_a_reply_does_not_stop_the_daemon(board: Board) -> None:
    board.send_signal(signal.SIGALRM)
    for _ in range(3):
        assert board.ask_ready() == NOT_READY
    assert not board.ended.done()


def test_lost_ep0_ends_the_daemon_and_takes_the_sockets_away(board: Board) -> None:
    board.ep0.push(EventType.ENABLE)
    with board.connect() as connection:
        board.ep0.remove()
        with pytest.raises(Ep0Gone):
            board.ended.result(timeout=10)
        assert is_closed_by_peer(connection)
    assert not board.settings.enabled_socket.exists()


def test_socket_that_cannot_be_served_ends_the_daemon(board: Board) -> None:
    board.settings.enabled_socket.mkdir()
    board.ep0.push(EventType.ENABLE)
    with pytest.raises(SocketRefused):
        board.ended.result(timeout=10)


def test_stale_socket_of_a_killed_registrar_is_replaced(board: Board) -> None:
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(board.settings.enabled_socket))
    board.ep0.push(EventType.ENABLE)
    board.ask_ready()
    board.connect().close()


def test_thousand_reconnects_of_the_gadget_leak_nothing(board: Board) -> None:
    board.ep0.push(EventType.ENABLE)
    board.connect().close()
    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208
    for _ in range(1000):
        with suppress(BlockingIOError):  # the queue is full: faster than the registrar
            connect_local(board.settings.enabled_socket).close()
    board.ask_ready()
    wait_until(lambda: len(os.listdir("/proc/self/fd")) <= before)  # noqa: PTH208


def test_hundred_sessions_leak_nothing(board: Board, gadget: socket.socket) -> None:
    board.ask_ready()
    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208
    for _ in range(100):
        board.ep0.push(EventType.ENABLE)
        board.connect().close()
        board.ep0.push(EventType.UNBIND)
        board.wait_gone()
    assert board.ask_ready() == NOT_READY
    wait_until(lambda: len(os.listdir("/proc/self/fd")) <= before)  # noqa: PTH208
