import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from registrar.settings import Settings
from registrar.sockets import listen_local, remove_socket
from tests.registrar.board import Board


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    allowed = frozenset({os.getuid()})
    return Settings(functionfs=tmp_path, run=tmp_path, allowed_uids=allowed)


@pytest.fixture
def board(settings: Settings) -> Iterator[Board]:
    board = Board(settings)
    board.start()
    yield board
    board.stop()


@pytest.fixture
def gadget(board: Board) -> Iterator[socket.socket]:
    """A gadget that serves its ready socket."""
    listener = listen_local(board.settings.ready_socket, 0o660)
    yield listener
    remove_socket(board.settings.ready_socket, listener)
