"""A registrar that follows another one: what the gadget's session, the host and systemd see of it.

Over the fake ep0, which lives on as the real one does, and `Manager` in place of systemd.
"""

import os
import selectors
import signal
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from registrar.control import NOT_READY
from registrar.daemon import Registrar, prepare, serve
from registrar.errors import Ep0Gone
from registrar.events import EventType
from registrar.notify import store_descriptor
from registrar.settings import Settings
from registrar.sockets import connect_local, is_closed_by_peer
from tests.fakes.ep0 import FakeEp0
from tests.registrar.ep0_contract import ASK_IN, SEND_OUT, Ask, Stalled
from tests.registrar.manager import Manager


class Service:
    """Registrars one after the other, turn by turn, on one ep0."""

    def __init__(self, settings: Settings, manager: Manager) -> None:
        self.settings = settings
        self.manager = manager
        self.ep0 = FakeEp0()
        prepare(self.ep0)

    def take_sessions(self) -> dict[str, socket.socket]:
        """What `take_inheritance` finds in the store; its own tests are in test_inheritance."""
        passed = self.manager.pass_on()
        return {name: socket.socket(fileno=fd) for fd, name in passed.items()}

    @contextmanager
    def registrar(self) -> Iterator[Registrar]:
        """One that has taken over what the store has."""
        sessions = self.take_sessions()
        with selectors.DefaultSelector() as selector:
            registrar = Registrar(self.ep0, selector, self.settings)
            registrar.take_over(sessions)
            yield registrar
            registrar.close()
        self.manager.receive()

    def open_session(self) -> socket.socket:
        """A gadget's connection, made and accepted while a registrar serves; which is then gone."""
        with self.registrar() as registrar:
            self.ep0.push(EventType.ENABLE)
            registrar.turn()
            connection = connect_local(self.settings.enabled_socket)
            registrar.turn()
        return connection


@pytest.fixture
def service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Service]:
    settings = Settings(functionfs=tmp_path, run=tmp_path, allowed_uids=frozenset({os.getuid()}))
    manager = Manager(tmp_path / "notify")
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
    monkeypatch.setenv("WATCHDOG_USEC", "30000")  # so that no turn waits for long
    service = Service(settings, manager)
    yield service
    service.ep0.close()
    manager.close()


def test_descriptors_are_never_written_twice(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service.ep0, "write_descriptors", lambda *_: pytest.fail("written twice"))
    prepare(service.ep0)


def test_gadget_session_outlives_a_registrar(service: Service) -> None:
    with service.open_session() as session:
        for _ in range(3):
            assert not service.settings.enabled_socket.exists()
            assert not is_closed_by_peer(session)
            with service.registrar() as registrar:
                assert service.settings.enabled_socket.exists()
                registrar.turn()
                assert not is_closed_by_peer(session)
        with service.registrar() as registrar:
            service.ep0.push(EventType.DISABLE)
            registrar.turn()
            assert is_closed_by_peer(session)
    assert service.manager.names() == []


@pytest.mark.parametrize("missed", ["DISABLE", "UNBIND", "UNBIND BIND", "ENABLE", "UNBIND ENABLE"])
def test_session_ends_for_what_happened_while_nobody_looked(service: Service, missed: str) -> None:
    with service.open_session() as session:
        for name in missed.split():
            service.ep0.push(EventType[name])
        with service.registrar() as registrar:
            registrar.turn()
            assert is_closed_by_peer(session)
            assert service.settings.enabled_socket.exists() == missed.endswith("ENABLE")
            assert service.manager.names() == []


@pytest.mark.parametrize("missed", ["", "SUSPEND", "SUSPEND RESUME", "RESUME"])
def test_session_goes_on_after_what_only_paused_it(service: Service, missed: str) -> None:
    with service.open_session() as session:
        for name in missed.split():
            service.ep0.push(EventType[name])
        with service.registrar() as registrar:
            registrar.turn()
            assert not is_closed_by_peer(session)
            assert service.manager.names() == ["session-0"]


def test_event_that_was_read_and_not_acted_on_is_made_good(service: Service) -> None:
    """The one before has taken ENABLE from the queue, and was killed."""
    service.ep0.push(EventType.ENABLE)
    service.ep0.read_events()
    with service.registrar():
        assert service.settings.enabled_socket.exists()


def test_disable_that_was_read_and_not_acted_on_is_made_good(service: Service) -> None:
    with service.open_session() as session:
        service.ep0.push(EventType.DISABLE)
        service.ep0.read_events()
        with service.registrar():
            assert is_closed_by_peer(session)
            assert not service.settings.enabled_socket.exists()


def test_session_whose_gadget_has_left_meanwhile_is_forgotten(service: Service) -> None:
    service.open_session().close()
    with service.registrar():
        assert service.manager.names() == []


class TestHalfAnsweredRequest:
    """The one before has read it, and was killed."""

    @pytest.fixture
    def ask(self, service: Service) -> Iterator[Ask]:
        with ThreadPoolExecutor(max_workers=1) as pool:
            yield lambda setup: pool.submit(service.ep0.request, setup)

    def take(self, service: Service) -> None:
        with selectors.DefaultSelector() as selector:
            selector.register(service.ep0, selectors.EVENT_READ)
            assert selector.select(10)
        assert service.ep0.read_events()

    def test_host_is_told_not_ready(self, service: Service, ask: Ask) -> None:
        answer = ask(ASK_IN)
        self.take(service)
        prepare(service.ep0)
        assert answer.result() == NOT_READY

    def test_host_to_device_request_is_stalled(self, service: Service, ask: Ask) -> None:
        answer = ask(SEND_OUT)
        self.take(service)
        prepare(service.ep0)
        with pytest.raises(Stalled):
            answer.result()


def test_ep0_that_is_gone_is_not_left_to_the_next_one(service: Service) -> None:
    session = service.open_session()
    stop, told = socket.socketpair()
    sessions = service.take_sessions()
    store_descriptor("ep0", service.ep0.fileno())
    assert service.manager.names() == ["session-0", "ep0"]
    service.ep0.remove()
    with stop, told, pytest.raises(Ep0Gone):
        serve(service.ep0, service.settings, stop, sessions)
    assert is_closed_by_peer(session)
    assert service.manager.names() == []
    session.close()


def test_stop_says_stopping_and_leaves_the_store_alone(service: Service) -> None:
    session = service.open_session()
    stop, told = socket.socketpair()
    with stop, told:
        told.send(bytes([signal.SIGTERM]))
        serve(service.ep0, service.settings, stop, service.take_sessions())
    assert service.manager.names() == ["session-0"]
    assert "STOPPING=1" in service.manager.messages
    assert not is_closed_by_peer(session)
    session.close()


def test_systemd_hears_of_each_state(service: Service) -> None:
    with service.registrar() as registrar:
        for event in (EventType.BIND, EventType.ENABLE, EventType.SUSPEND, EventType.DISABLE):
            service.ep0.push(event)
            registrar.turn()
    told = [m.partition("STATUS=usb ")[2].split(",")[0] for m in service.manager.messages]
    assert [t for t in told if t] == ["unbound", "bound", "enabled", "suspended", "bound"]
