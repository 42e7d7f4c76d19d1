"""Messages to systemd, over a real datagram socket, and descriptors over a real fork and exec."""

import array
import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from registrar import notify

# Becomes the process that systemd has started with descriptors; says what it was given.
_TAKE = """
import json, os, sys
os.environ["LISTEN_PID"] = str(os.getpid())
from registrar.notify import take_stored
taken = take_stored()
print(json.dumps([[s.name, s.fd, os.get_inheritable(s.fd)] for s in taken]))
assert take_stored() == ()
"""


@pytest.fixture
def manager(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    """systemd's end."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        receiver.bind(str(tmp_path / "notify"))
        receiver.setblocking(False)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        yield receiver


def next_message(manager: socket.socket) -> str:
    return manager.recv(4096).decode()


@pytest.mark.parametrize(
    ("send", "message"),
    [
        (lambda: notify.notify_ready("usb unbound"), "READY=1\nSTATUS=usb unbound"),
        (lambda: notify.notify_status("usb enabled"), "STATUS=usb enabled"),
        (notify.notify_stopping, "STOPPING=1"),
        (notify.feed_watchdog, "WATCHDOG=1"),
        (lambda: notify.remove_stored("ep0"), "FDSTOREREMOVE=1\nFDNAME=ep0"),
    ],
)
def test_each_message_is_as_sd_notify_has_it(
    manager: socket.socket, send: Callable[[], bool], message: str
) -> None:
    assert send()
    assert next_message(manager) == message


def test_status_stays_one_line(manager: socket.socket) -> None:
    notify.notify_status("key\nWATCHDOG=trigger")
    assert next_message(manager) == "STATUS=key WATCHDOG=trigger"


def test_abstract_address_is_understood(monkeypatch: pytest.MonkeyPatch) -> None:
    name = f"tezsign-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        receiver.bind("\0" + name)
        monkeypatch.setenv("NOTIFY_SOCKET", "@" + name)
        assert notify.feed_watchdog()
        assert receiver.recv(100) == b"WATCHDOG=1"


def test_stored_descriptor_travels_with_its_name(manager: socket.socket, tmp_path: Path) -> None:
    with (tmp_path / "ep0").open("wb") as file:
        assert notify.store_descriptor("ep0", file.fileno())
        message, control, _, _ = manager.recvmsg(4096, socket.CMSG_SPACE(4))
        assert message == b"FDSTORE=1\nFDNAME=ep0\nFDPOLL=0"
        ((_, kind, data),) = control
        assert kind == socket.SCM_RIGHTS
        (received,) = array.array("i", data)
        assert os.path.samestat(os.fstat(received), os.fstat(file.fileno()))
        os.close(received)


def test_without_systemd_nothing_is_sent_and_nothing_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    assert not notify.notify_ready("up")
    assert not notify.store_descriptor("ep0", 0)
    assert notify.take_stored() == ()


def test_manager_that_is_gone_is_no_error(
    manager: socket.socket, caplog: pytest.LogCaptureFixture
) -> None:
    manager.close()
    assert not notify.feed_watchdog()
    assert "systemd has not got a message" in caplog.text


@pytest.mark.timeout(20)
def test_manager_that_reads_nothing_never_holds_us_up(
    manager: socket.socket, caplog: pytest.LogCaptureFixture
) -> None:
    """Its queue has room for some hundred at most; a plain sd_notify would wait at the first one
    more."""
    while notify.feed_watchdog():
        pass
    assert not notify.notify_status("still here")
    assert "does not read" in caplog.text
    assert next_message(manager) == "WATCHDOG=1"
    assert notify.notify_status("room again")


def test_no_descriptor_leaks(manager: socket.socket) -> None:
    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208
    for _ in range(100):
        notify.feed_watchdog()
        manager.recv(100)
    assert len(os.listdir("/proc/self/fd")) == before  # noqa: PTH208


@pytest.mark.parametrize(
    ("environment", "limit_s"),
    [
        ({}, None),
        ({"WATCHDOG_USEC": "60000000"}, 60.0),
        ({"WATCHDOG_USEC": "1500000", "WATCHDOG_PID": str(os.getpid())}, 1.5),
        ({"WATCHDOG_USEC": "1500000", "WATCHDOG_PID": "1"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
    ],
)
def test_watchdog_limit_is_the_one_for_this_process(
    environment: dict[str, str], limit_s: float | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("WATCHDOG_USEC", "WATCHDOG_PID"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert notify.watchdog_s() == limit_s


def test_stored_descriptors_come_with_their_names_closed_on_exec(tmp_path: Path) -> None:
    """Two of one name, too: that is for the taker to judge."""
    (tmp_path / "kept").write_text("kept")
    shell = f'exec 3<"$0" 4<"$0" 5<"$0"; exec {sys.executable} -c "$1"'
    done = subprocess.run(
        ["/bin/sh", "-c", shell, str(tmp_path / "kept"), _TAKE],
        env=os.environ | {"LISTEN_FDS": "3", "LISTEN_FDNAMES": "ep0:other:ep0"},
        capture_output=True,
        check=False,
        text=True,
        timeout=20,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == [["ep0", 3, False], ["other", 4, False], ["ep0", 5, False]]
