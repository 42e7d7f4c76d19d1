"""When attach-gadget binds again, and whose bounce requests it takes. The rest: tests/systemd."""

import os
import socket
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from tests.builder.programs import load_program


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """With files in place of configfs, FunctionFS and a controller."""
    program = load_program("attach-gadget")
    program.__dict__["CONTROLLER"] = tmp_path / "UDC"
    program.__dict__["CONTROLLERS"] = tmp_path / "controllers"
    (tmp_path / "UDC").write_text("\n")
    for folder, file in (("controllers", "fake.0"), ("ffs", "ep1")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / file).touch()
    monkeypatch.setenv("TEZSIGN_FFS", str(tmp_path / "ffs"))
    return program


def is_bound(program: ModuleType) -> bool:
    return bool(program.read_bound() == "fake.0")


def lose(program: ModuleType) -> None:
    program.__dict__["CONTROLLER"].write_text("\n")


def measure_pause(program: ModuleType, attachment: Any, now_s: float) -> float:
    """How long it takes from the loss until it is bound again, to half a second."""
    lose(program)
    attachment.turn(now_s)
    pause_s = 0.0
    while not is_bound(program):
        pause_s += 0.5
        assert pause_s < 100
        attachment.turn(now_s + pause_s)
    return pause_s


def test_controller_that_is_lost_again_and_again_is_bound_less_often(program: ModuleType) -> None:
    attachment, now_s, pauses = program.Attachment(), 1000.0, []
    attachment.turn(now_s)
    for _ in range(12):
        now_s += 1
        pauses.append(measure_pause(program, attachment, now_s))
        now_s += pauses[-1]
    assert pauses == [0.0] * 5 + [5.0] * 5 + [30.0] * 2


def test_ten_stable_seconds_are_a_new_start(program: ModuleType) -> None:
    attachment, now_s = program.Attachment(), 1000.0
    attachment.turn(now_s)
    for _ in range(7):
        now_s += 1 + measure_pause(program, attachment, now_s)
    assert measure_pause(program, attachment, now_s + 60) == 0


def test_bounce_is_a_while_off_the_bus(program: ModuleType) -> None:
    attachment = program.Attachment()
    attachment.turn(1000.0)
    assert is_bound(program)
    attachment.bounce(1001.0)
    attachment.turn(1001.0)
    attachment.turn(1001.4)
    assert not is_bound(program)
    attachment.turn(1001.5)
    assert is_bound(program)


class Requests:
    """The socket under test, and somebody who sends to it."""

    def __init__(self, program: ModuleType, path: Path, uids: frozenset[int]) -> None:
        self.server = program.BounceRequests(path, uids)
        self._path = path

    def ask(self, now_s: float, *messages: bytes) -> bool:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            for message in messages:
                sender.sendto(message, str(self._path))
        due: bool = self.server.is_due(now_s)
        return due


@pytest.fixture
def requests(program: ModuleType, tmp_path: Path) -> Iterator[Requests]:
    path = tmp_path / "attach.sock"
    path.touch()  # what a killed process left
    requests = Requests(program, path, frozenset({os.getuid()}))
    yield requests
    requests.server.close()
    assert not path.exists()


def test_bounce_is_granted_once_in_sixty_seconds(requests: Requests) -> None:
    assert requests.ask(1000.0, b"bounce")
    assert not requests.ask(1059.9, b"bounce")
    assert requests.ask(1060.0, b"bounce", b"bounce")
    assert not requests.ask(1119.0, b"bounce")


@pytest.mark.parametrize("message", [b"", b"bounc", b"bouncer", b"bounce\n", b"x" * 4096])
def test_anything_else_is_no_request(requests: Requests, message: bytes) -> None:
    assert not requests.ask(1000.0, message)
    assert requests.ask(1000.0, b"bounce")


def test_stranger_is_refused(program: ModuleType, tmp_path: Path) -> None:
    requests = Requests(program, tmp_path / "attach.sock", frozenset({os.getuid() + 1}))
    assert not requests.ask(1000.0, b"bounce")
    requests.server.close()


def test_one_turn_takes_a_bounded_number(program: ModuleType, requests: Requests) -> None:
    limit = program.__dict__["DATAGRAMS_A_TURN"]
    assert not requests.ask(1000.0, *[b"junk"] * limit, b"bounce")
    assert requests.ask(1000.0)
