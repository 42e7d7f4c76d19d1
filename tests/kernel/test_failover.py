"""A key moves from one board to another on a real kernel: docs/failover.md, part A, and `passwd`.

There is one USB plug: a board is a data folder, and the daemon is started on the one or the other.
The tests build on each other. Needs the lab's `--disk`.
"""

import json
import os
from collections.abc import Iterator
from contextlib import AbstractContextManager
from itertools import count
from pathlib import Path
from typing import Final

import pytest

from tests.kernel.board import PASSPHRASE, Board, open_board, open_signer, tezsign
from tests.kernel.test_end_to_end import PORT, refuse, sign
from tests.payloads import attestation
from tests.process.child import Child

OLD: Final = Path("/data/old")
NEW: Final = Path("/data/new")
LEVEL: Final = 12_000_000
OTHER: Final = "battery staple correct horse"
OTHER_HASH: Final = b"\x55" * 32


@pytest.fixture(scope="module")
def board(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Board]:
    """The old board, with an exportable key that is unlocked."""
    with open_board(tmp_path_factory.mktemp("board"), OLD) as board:
        board.start_gadget()
        tezsign("init", passphrase=PASSPHRASE)
        tezsign("new", "baker", "--exportable", passphrase=PASSPHRASE)
        tezsign("unlock", passphrase=PASSPHRASE)
        yield board


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the host keeps files: passphrases, marks, the key."""
    folder = tmp_path_factory.mktemp("host")
    (folder / "new").write_text(OTHER + "\n")
    (folder / "words").write_text("words of the file\n")
    return folder


def change_board(board: Board, data: Path) -> None:
    board.end_gadget()
    board.data = data
    board.start_gadget()


_WITNESSES: Final = count()


def open_run(folder: Path) -> AbstractContextManager[Child]:
    """With a witness that has seen nothing: here it is the boards that must refuse."""
    witness = folder / f"witness-{next(_WITNESSES)}"
    return open_signer(PORT, "--witness-file", str(witness))


def address() -> str:
    return str(tezsign("list")[0]["pkh"])


def test_the_passphrase_changes_and_keys_stay_unlocked(board: Board, folder: Path) -> None:
    tezsign("passwd", "--new-passphrase-file", str(folder / "new"), passphrase=PASSPHRASE)
    with open_run(folder):
        sign(address(), attestation("tz4", LEVEL, 0))
    change_board(board, OLD)
    assert "code 13" in tezsign("unlock", passphrase=PASSPHRASE, expect=4)
    tezsign("unlock", passphrase=OTHER)


def test_a_level_that_was_set_is_used_up(board: Board, folder: Path) -> None:
    assert board.is_ready()
    level = str(LEVEL + 10)
    key = tezsign("advanced", "set-level", "baker", level, "--yes", passphrase=OTHER)
    assert key["marks"]["block"] == {"level": LEVEL + 10, "round": 2**31 - 1}
    line = tezsign("advanced", "set-level", "baker", "5", "--yes", passphrase=OTHER, expect=4)
    assert "code 81" in line
    with open_run(folder):
        refuse(address(), attestation("tz4", LEVEL + 10, 0), 409)
        sign(address(), attestation("tz4", LEVEL + 11, 0))


def test_a_retired_key_tells_its_marks(board: Board, folder: Path) -> None:
    assert board.is_ready()
    last = str(LEVEL + 20)
    tezsign("advanced", "retire", "baker", "--last-level", last, "--yes", passphrase=OTHER)
    marks = tezsign("advanced", "marks", "export")
    (entry,) = marks["NetXdQprcVkpaWU"].values()
    assert entry["last_level"] == LEVEL + 20
    assert entry["attestation"]["level"] == LEVEL + 11
    (folder / "marks.json").write_text(json.dumps(marks))
    with open_run(folder):
        sign(address(), attestation("tz4", LEVEL + 12, 0))
        refuse(address(), attestation("tz4", LEVEL + 21, 0), 409)


def test_the_key_moves_and_no_level_is_signed_twice(board: Board, folder: Path) -> None:
    file, words = str(folder / "baker.json"), str(folder / "words")
    of_file = ("--file-passphrase-file", words)
    tezsign("advanced", "keys", "export", "baker", file, "--yes", *of_file, passphrase=OTHER)
    pkh = address()
    with open_run(folder):
        for level in (LEVEL + 12, LEVEL + 13, LEVEL + 20):
            refuse(pkh, attestation("tz4", level, 0, payload_hash=OTHER_HASH), 409)
    change_board(board, NEW)
    tezsign("init", passphrase=PASSPHRASE)
    key = tezsign("advanced", "keys", "import", file, *of_file, passphrase=PASSPHRASE)
    assert (key["pkh"], key["lock_state"]) == (pkh, "locked")
    rows = tezsign(
        "advanced", "marks", "import", str(folder / "marks.json"), "--yes", passphrase=PASSPHRASE
    )
    assert rows[0]["code"] == 0
    tezsign("unlock", passphrase=PASSPHRASE)
    with open_run(folder):
        for level in (LEVEL + 12, LEVEL + 20):
            refuse(pkh, attestation("tz4", level, 5, payload_hash=OTHER_HASH), 409)
        sign(pkh, attestation("tz4", LEVEL + 21, 0))
    change_board(board, OLD)
    tezsign("unlock", passphrase=OTHER)
    with open_run(folder):
        refuse(pkh, attestation("tz4", LEVEL + 22, 0), 409)


def test_lost_marks_come_back_by_set_level_alone(board: Board, folder: Path) -> None:
    change_board(board, NEW)
    for slot in NEW.glob("marks/*"):
        slot.write_bytes(bytes(4096))
    os.sync()
    assert "not unlocked: baker" in tezsign("unlock", passphrase=PASSPHRASE, expect=4)
    assert tezsign("status")[0]["lock_state"] == "unusable"
    level = str(LEVEL + 30)
    tezsign("advanced", "set-level", "baker", level, "--yes", passphrase=PASSPHRASE)
    tezsign("unlock", passphrase=PASSPHRASE)
    with open_run(folder):
        refuse(address(), attestation("tz4", LEVEL + 30, 0), 409)
        sign(address(), attestation("tz4", LEVEL + 31, 0))
