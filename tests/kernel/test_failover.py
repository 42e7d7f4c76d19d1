"""A key moves from board to board on a real kernel, as docs/failover.md has it. Before that its
passphrase, level and last level are changed.

There is one USB plug: a board is a data folder, and the daemon is started on the one or the other.
The tests build on each other, and derive thirteen keys, cheaply. Needs the lab's `--disk`.
"""

from collections.abc import Iterator
from contextlib import AbstractContextManager
from itertools import count
from pathlib import Path
from typing import Final

import pytest

from tests.kernel.board import PASSPHRASE, Board, open_board, open_signer, tezsign
from tests.kernel.hasty_gadget import HASTY_GADGET
from tests.kernel.test_end_to_end import PORT, refuse, sign
from tests.payloads import attestation
from tests.process.child import Child

OLD: Final = Path("/data/old")
NEW: Final = Path("/data/new")
LEVEL: Final = 12_000_000
OTHER: Final = "battery staple correct horse"
OTHER_HASH: Final = b"\x55" * 32
_WITNESSES: Final = count()


@pytest.fixture(scope="module")
def board(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Board]:
    """The old board, with a locked key that may be exported."""
    with open_board(tmp_path_factory.mktemp("board"), OLD) as board:
        board.start_gadget(HASTY_GADGET)
        tezsign("init", passphrase=PASSPHRASE)
        tezsign("new", "baker", "--exportable", passphrase=PASSPHRASE)
        yield board


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the host keeps files: passphrases and the key."""
    folder = tmp_path_factory.mktemp("host")
    (folder / "new").write_text(OTHER + "\n")
    (folder / "words").write_text("words of the file\n")
    return folder


def open_run(folder: Path) -> AbstractContextManager[Child]:
    """With a witness that has seen nothing: here it is the boards that must refuse."""
    witness = folder / f"witness-{next(_WITNESSES)}"
    return open_signer(PORT, "--witness-file", str(witness))


def address() -> str:
    return str(tezsign("list")[0]["pkh"])


def test_the_new_passphrase_unlocks(board: Board, folder: Path) -> None:
    assert board.is_ready()
    tezsign("passwd", "--new-passphrase-file", str(folder / "new"), passphrase=PASSPHRASE)
    tezsign("unlock", passphrase=OTHER)


def test_a_key_signs_between_its_level_and_its_last_level(board: Board, folder: Path) -> None:
    level, last = str(LEVEL + 10), str(LEVEL + 20)
    key = tezsign("advanced", "set-level", "baker", level, "--yes", passphrase=OTHER)
    assert key["marks"]["block"] == {"level": LEVEL + 10, "round": 2**31 - 1}
    tezsign("advanced", "retire", "baker", "--last-level", last, "--yes", passphrase=OTHER)
    pkh = address()
    with open_run(folder):
        refuse(pkh, attestation("tz4", LEVEL + 10, 0), 409)
        sign(pkh, attestation("tz4", LEVEL + 11, 0))
        refuse(pkh, attestation("tz4", LEVEL + 21, 0), 409)
    (entry,) = tezsign("advanced", "marks", "export")["NetXdQprcVkpaWU"].values()
    assert entry["last_level"] == LEVEL + 20
    assert entry["attestation"]["level"] == LEVEL + 11
    assert board.is_ready()


def test_the_key_moves_and_no_level_is_signed_twice(board: Board, folder: Path) -> None:
    file = str(folder / "baker.json")
    of_file = ("--file-passphrase-file", str(folder / "words"))
    tezsign("advanced", "keys", "export", "baker", file, "--yes", *of_file, passphrase=OTHER)
    pkh = address()
    with open_run(folder):
        for level in (LEVEL + 11, LEVEL + 12, LEVEL + 20):
            refuse(pkh, attestation("tz4", level, 0, payload_hash=OTHER_HASH), 409)
    board.end_gadget()
    board.data = NEW
    board.start_gadget(HASTY_GADGET)
    tezsign("init", passphrase=PASSPHRASE)
    key = tezsign("advanced", "keys", "import", file, *of_file, passphrase=PASSPHRASE)
    assert (key["pkh"], key["lock_state"]) == (pkh, "locked")
    tezsign("unlock", passphrase=PASSPHRASE)
    with open_run(folder):
        refuse(pkh, attestation("tz4", LEVEL + 11, 5, payload_hash=OTHER_HASH), 409)
        sign(pkh, attestation("tz4", LEVEL + 12, 0))
