"""A registrar that is killed or restarted on a real FunctionFS: host and gadget see nothing of it.

`Store` stands for systemd here and keeps real descriptors; tests/systemd has the real one.

python -m tests.lab -- pytest -p no:cacheprovider tests/kernel/test_registrar_restart.py
"""

import os
import selectors
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

import pytest

from registrar.events import Setup
from registrar.sockets import listen_local, remove_socket
from tests.kernel.registrar_board import CONFIGFS, Assets, RegistrarProcess, Session
from tests.kernel.test_registrar import IS_READY, NOT_READY, READY
from tests.kernel.usb_control import ControlHost, Stalled
from tests.registrar.ep0_contract import ASK_IN, SEND_OUT
from tests.registrar.loop import wait_until
from tests.registrar.manager import Manager

# Becomes the process that systemd starts: its descriptors are at 3 and up, and the pid is told.
_AS_SYSTEMD: Final = """
import os, sys
for place, fd in enumerate(sys.argv[1:], 3):
    os.dup2(int(fd), place)
if sys.argv[1:]:
    os.environ |= {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": str(len(sys.argv) - 1)}
os.execv(sys.executable, [sys.executable, "-m", "registrar"])
"""
TAKEN_OVER: Final = "ep0 is taken over"


def kill(registrar: RegistrarProcess) -> None:
    registrar.process.kill()
    registrar.process.wait(30)


class Store:
    """Starts registrars one after the other, and keeps what they store."""

    def __init__(self, assets: Assets, folder: Path) -> None:
        self.manager = Manager(folder / "notify")
        self._assets = assets
        self._latest: RegistrarProcess | None = None
        assets.environment["NOTIFY_SOCKET"] = str(folder / "notify")

    def start(self, started: str = TAKEN_OVER) -> RegistrarProcess:
        """With what the store has; returns once it is ready."""
        passed = self.manager.pass_on()
        self.manager.messages.clear()
        self._assets.environment["LISTEN_FDNAMES"] = ":".join(passed.values())
        # Out of the way of the places that they are put to.
        high = [os.dup2(fd, 200 + number) for number, fd in enumerate(passed)]
        self._latest = RegistrarProcess(
            self._assets,
            command=(sys.executable, "-c", _AS_SYSTEMD, *map(str, high)),
            inherited=high,
            started=started,
        )
        for fd in [*passed, *high]:
            os.close(fd)
        wait_until(lambda: any("READY=1" in message for message in self.told()))
        return self._latest

    def told(self) -> list[str]:
        self.manager.receive()
        return self.manager.messages

    def close(self) -> None:
        if self._latest is not None:
            kill(self._latest)
        self.manager.close()
        for name in ("NOTIFY_SOCKET", "LISTEN_FDNAMES"):
            self._assets.environment.pop(name, None)


@pytest.fixture(scope="module")
def assets(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Assets]:
    assets = Assets(tmp_path_factory.mktemp("board"))
    assets.set_up()
    yield assets
    assets.remove()


@pytest.fixture
def store(assets: Assets, tmp_path: Path) -> Iterator[Store]:
    store = Store(assets, tmp_path)
    yield store
    store.close()
    # The last copies of ep0 are closed: the device has left the bus.
    wait_until(lambda: not (CONFIGFS / "UDC").read_text().strip())


@pytest.fixture
def registrar(store: Store) -> RegistrarProcess:
    return store.start("descriptors are written")


@pytest.fixture
def host(assets: Assets, registrar: RegistrarProcess) -> Iterator[ControlHost]:
    """Its descriptor is of this one device: where that leaves the bus, every request fails."""
    host = ControlHost(assets.attach())
    yield host
    host.close()


def test_device_and_session_outlive_killed_registrars(
    store: Store, registrar: RegistrarProcess, host: ControlHost
) -> None:
    gadget = listen_local(registrar.ready_socket, 0o660)
    worst_s = 0.0
    with Session(registrar) as session:
        wait_until(lambda: "session-0" in store.manager.names())
        for _ in range(10):
            wait_until(lambda: host.request(READY) == IS_READY)
            connection, _ = gadget.accept()
            kill(registrar)
            connection.close()
            assert session.lasts
            started_s = time.monotonic()
            registrar = store.start()
            wait_until(lambda: host.request(READY) == IS_READY)
            worst_s = max(worst_s, time.monotonic() - started_s)
            assert session.lasts
            assert store.manager.names() == ["ep0", "session-0"]
    remove_socket(registrar.ready_socket, gadget)
    print(f"registrar: at most {worst_s:.2f} s from its start until a host is told ready again")


def test_restart_with_sigterm_is_not_seen_either(
    store: Store, registrar: RegistrarProcess, host: ControlHost
) -> None:
    with Session(registrar) as session:
        wait_until(lambda: "session-0" in store.manager.names())
        for _ in range(3):
            assert registrar.end() == 0
            assert not registrar.enabled_socket.exists()
            assert session.lasts
            registrar = store.start()
            assert host.request(READY) == NOT_READY
            assert session.lasts


def test_request_that_came_while_nobody_was_there_is_answered(
    store: Store, registrar: RegistrarProcess, host: ControlHost
) -> None:
    kill(registrar)
    with ThreadPoolExecutor(max_workers=1) as pool:
        answer = pool.submit(host.request, READY)
        with pytest.raises(TimeoutError):
            answer.result(0.2)
        registrar = store.start()
        assert answer.result() == NOT_READY


def test_unbind_and_bind_while_nobody_was_there_end_the_session(
    assets: Assets, store: Store, registrar: RegistrarProcess
) -> None:
    assets.attach()
    with Session(registrar) as session:
        wait_until(lambda: "session-0" in store.manager.names())
        kill(registrar)
        assets.detach()
        assert session.lasts
        registrar = store.start()
        session.wait_end()
        assert not registrar.enabled_socket.exists()
    kill(registrar)
    host = ControlHost(assets.attach())
    registrar = store.start()
    assert host.request(READY) == NOT_READY  # so the ENABLE of meanwhile has been read, too
    with Session(registrar) as session:
        assert host.request(READY) == NOT_READY
        assert session.lasts
    host.close()


def test_deconfigured_while_nobody_was_there_is_not_enabled(
    store: Store, registrar: RegistrarProcess, host: ControlHost
) -> None:
    assert host.request(READY) == NOT_READY
    assert registrar.enabled_socket.exists()
    kill(registrar)
    host.set_configuration(0)
    with selectors.DefaultSelector() as selector:  # the event was read, and nobody acted on it
        ep0 = store.manager.store[0][1]
        selector.register(ep0, selectors.EVENT_READ)
        assert selector.select(10)
        assert os.read(ep0, 48)
    registrar = store.start()
    assert not registrar.enabled_socket.exists()
    host.set_configuration(1)
    wait_until(registrar.enabled_socket.exists)


@pytest.mark.parametrize(("setup", "is_answered"), [(ASK_IN, True), (SEND_OUT, False)])
def test_request_that_was_read_and_not_answered_is_settled(
    store: Store, registrar: RegistrarProcess, host: ControlHost, setup: Setup, is_answered: bool
) -> None:
    assert host.request(READY) == NOT_READY  # so all events have been read
    kill(registrar)
    with ThreadPoolExecutor(max_workers=1) as pool:
        answer = pool.submit(host.request, setup)
        ep0 = store.manager.store[0][1]
        with selectors.DefaultSelector() as selector:
            selector.register(ep0, selectors.EVENT_READ)
            assert selector.select(10)
            assert len(os.read(ep0, 48)) == 12
        registrar = store.start()
        if is_answered:
            assert answer.result() == NOT_READY
        else:
            with pytest.raises(Stalled):
                answer.result()
        assert host.request(READY) == NOT_READY


def test_gadget_that_holds_its_endpoints_is_enough_to_stay_on_the_bus(
    assets: Assets, store: Store, registrar: RegistrarProcess, host: ControlHost
) -> None:
    """Without systemd: the next registrar opens the same ep0, and finds it in use."""
    endpoint = os.open(assets.functionfs / "ep1", os.O_RDWR | os.O_NONBLOCK)
    for _ in range(3):
        kill(registrar)
        store.manager.forget()
        registrar = store.start()
        assert host.request(READY) == NOT_READY
        wait_until(registrar.enabled_socket.exists)
    os.close(endpoint)


def test_useless_descriptors_are_removed_and_the_device_comes_up(
    assets: Assets, store: Store
) -> None:
    with (assets.run_folder / "log").open("ab") as other:
        for name in ("ep0", "session-0", "what"):
            store.manager.store.append((name, os.dup(other.fileno())))
    store.start("descriptors are written")
    assert store.manager.names() == ["ep0"]
