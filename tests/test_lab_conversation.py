"""The host's half of a run, with sockets and a sleeping process in the place of a guest."""

import json
import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pytest

from tests.lab import conversation
from tests.lab.arguments import EXIT_TIMEOUT
from tests.lab.conversation import Conversation
from tests.lab.errors import LabError
from tests.lab.machine import PORTS


@dataclass(frozen=True, kw_only=True, slots=True)
class FakeGuest:
    """The other ends of the ports, and a process in QEMU's place."""

    ports: dict[str, socket.socket]
    qemu: "subprocess.Popen[bytes]"
    conversation: Conversation

    def tell(self, **event: object) -> None:
        self.ports["control"].sendall(json.dumps(event).encode() + b"\n")

    def tell_ended(self, status: int, **sent: int) -> None:
        self.tell(event="ended", status=status, sent={"stdout": 0, "stderr": 0, **sent})


@pytest.fixture
def guest() -> Iterator[FakeGuest]:
    with talking_guest() as fake:
        yield fake


@contextmanager
def talking_guest() -> Iterator[FakeGuest]:
    pairs = {name: socket.socketpair() for name in PORTS}
    with subprocess.Popen(["sleep", "100"]) as qemu:
        try:
            yield FakeGuest(
                ports={name: theirs for name, (_, theirs) in pairs.items()},
                qemu=qemu,
                conversation=Conversation(
                    {name: ours for name, (ours, _) in pairs.items()}, qemu.pid
                ),
            )
        finally:
            qemu.kill()
            for ends in pairs.values():
                for end in ends:
                    end.close()


def test_status_waits_for_output_that_is_on_its_way(
    guest: FakeGuest, capfd: pytest.CaptureFixture[str]
) -> None:
    guest.tell(event="started")
    guest.ports["stdout"].sendall(b"early ")
    guest.tell_ended(3, stdout=10, stderr=3)
    late = threading.Timer(0.2, guest.ports["stdout"].sendall, (b"late",))
    late.start()
    guest.ports["stderr"].sendall(b"err")
    assert guest.conversation.run(60.0) == 3
    late.join()
    assert capfd.readouterr() == ("early late", "err")


def test_dead_guest_is_never_success_and_its_last_words_are_shown(
    guest: FakeGuest, capfd: pytest.CaptureFixture[str]
) -> None:
    guest.tell(event="started")
    guest.ports["stdout"].sendall(b"last words")
    for port in guest.ports.values():
        port.close()
    guest.qemu.kill()
    with pytest.raises(LabError, match="the guest died"):
        guest.conversation.run(60.0)
    assert capfd.readouterr().out == "last words"


def test_failure_that_the_guest_reports_is_the_labs(guest: FakeGuest) -> None:
    guest.tell(event="failed", reason="no /dev/vda")
    with pytest.raises(LabError, match="no /dev/vda"):
        guest.conversation.run(60.0)


def test_timeout_is_124(guest: FakeGuest) -> None:
    guest.tell(event="started")
    assert guest.conversation.run(0.1) == EXIT_TIMEOUT


def test_first_signal_goes_to_the_command_and_the_second_ends_the_guest(
    guest: FakeGuest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(conversation, "_GRACE_S", 1000.0)
    guest.tell(event="started")

    received = []

    def send_signals() -> None:
        while not guest.conversation._is_started:
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGTERM)
        received.append(guest.ports["control"].recv(1))
        os.kill(os.getpid(), signal.SIGHUP)

    sender = threading.Thread(target=send_signals)
    sender.start()
    assert guest.conversation.run(60.0) == 128 + signal.SIGHUP
    sender.join()
    assert received == [bytes([signal.SIGTERM])]


def test_command_that_ignores_a_signal_has_a_grace_time(
    guest: FakeGuest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(conversation, "_GRACE_S", 0.1)
    guest.tell(event="started")

    def send_signal() -> None:
        while not guest.conversation._is_started:
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGINT)

    sender = threading.Thread(target=send_signal)
    sender.start()
    assert guest.conversation.run(60.0) == 128 + signal.SIGINT
    sender.join()


def test_signal_before_the_command_has_started_ends_the_guest(guest: FakeGuest) -> None:
    def send_signal() -> None:
        while signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGTERM)

    sender = threading.Thread(target=send_signal)
    sender.start()
    assert guest.conversation.run(60.0) == 128 + signal.SIGTERM
    sender.join()
