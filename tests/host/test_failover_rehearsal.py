"""docs/failover.md, command by command, with three boards; and one ledger over all of them.

Whatever any board ever signs goes through the ledger, which knows no rule but one: never two
payloads for one (kind, level, round). After each step every board that still has the key is asked
for other payloads at every level so far.
"""

import json
from pathlib import Path

import pytest

from host.errors import ExitStatus, Refused
from tests.gadget.keychain.board import attest
from tests.host.desk import Desk
from tests.host.virtual_board import VirtualBoard

WORDS = "words of the file"


class Ledger:
    """All signatures of one key, of whichever board."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._signed: dict[int, bytes] = {}

    def sign(self, board: VirtualBoard, level: int, variant: int = 0) -> bool:
        """Asks for one attestation; returns whether there was a signature."""
        payload = attest(level, variant=variant)
        try:
            board.ask_signature(self._address, payload)
        except Refused:
            return False
        assert self._signed.setdefault(level, payload) == payload, f"two signatures at {level}"
        return True

    def try_to_break(self, *boards: VirtualBoard, up_to: int) -> None:
        """Asks every board for other bytes at each level of the past."""
        for board in boards:
            for level in range(max(0, up_to - 40), up_to + 1):
                self.sign(board, level, variant=7)
                self.sign(board, level)


class Bakery:
    """Three boards on one desk: "old" has an exportable key that has baked up to level 1,000."""

    def __init__(self, desk: Desk, folder: Path) -> None:
        self.desk = desk
        self.old, self.new, self.standby = desk.boards
        self.file = folder / "baker.json"
        self._words = folder / "words"
        self._words.write_text(WORDS + "\n")
        self.on("old", "init")
        self.on("old", "new", "baker", "--type", "tz1", "--exportable")
        self.on("old", "unlock")
        self.ledger = Ledger(str(self.on("old", "list")[0]["pkh"]))
        assert self.ledger.sign(self.old, 1_000)

    def on(self, serial: str, *arguments: str) -> list[dict[str, object]]:
        """Runs a command on one board and returns its JSON."""
        assert self.desk.run("--device", serial, *arguments) == ExitStatus.DONE, self.desk.errors
        found: list[dict[str, object]] = json.loads(self.desk.output)
        return found

    def export(self, serial: str) -> None:
        self.on(
            serial, "advanced", "keys", "export", "baker", str(self.file), "--yes",
            "--file-passphrase-file", str(self._words),
        )  # fmt: skip

    def import_on(self, serial: str) -> None:
        self.on(serial, "init")
        self.on(
            serial, "advanced", "keys", "import", str(self.file),
            "--file-passphrase-file", str(self._words),
        )  # fmt: skip


@pytest.fixture
def bakery(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> Bakery:
    monkeypatch.setenv("TEZSIGN_UNLOCK_PASS", "correct horse")
    return Bakery(Desk(monkeypatch, capsys, "old", "new", "standby"), tmp_path)


def test_a_the_old_board_works(bakery: Bakery) -> None:
    ledger = bakery.ledger
    bakery.export("old")
    ledger.try_to_break(bakery.old, up_to=1_050)
    assert not ledger.sign(bakery.old, 1_001)
    bakery.import_on("new")
    bakery.on("new", "unlock", "baker")
    ledger.try_to_break(bakery.old, bakery.new, up_to=1_000)
    assert ledger.sign(bakery.new, 1_001)
    # Neither a power cut nor an attempt to bring the key back wakes the old board.
    bakery.old.cut_power()
    bakery.on("old", "unlock")
    bakery.on("old", "delete", "baker", "--yes")
    bakery.on(
        "old", "advanced", "keys", "import", str(bakery.file),
        "--file-passphrase-file", str(bakery._words),
    )  # fmt: skip
    bakery.on("old", "unlock")
    assert not ledger.sign(bakery.old, 1_002)
    assert ledger.sign(bakery.new, 1_002)
    ledger.try_to_break(bakery.old, bakery.new, up_to=1_050)


def test_b_a_standby_takes_over_without_a_gap(bakery: Bakery, tmp_path: Path) -> None:
    ledger = bakery.ledger
    bakery.export("old")
    bakery.import_on("new")
    bakery.import_on("standby")
    bakery.on("new", "unlock", "baker")
    for level in range(1_001, 1_101):
        assert ledger.sign(bakery.new, level)
    bakery.on("new", "advanced", "retire", "baker", "--last-level", "1120", "--yes")
    marks = tmp_path / "marks.json"
    marks.write_text(json.dumps(bakery.on("new", "advanced", "marks", "export")))
    assert ledger.sign(bakery.new, 1_101)  # the file is older than this
    bakery.on("standby", "advanced", "marks", "import", str(marks), "--yes")
    bakery.on("standby", "unlock", "baker")
    for level in range(1_102, 1_140):
        signed_by = [board for board in (bakery.new, bakery.standby) if ledger.sign(board, level)]
        assert signed_by == [bakery.new if level <= 1_120 else bakery.standby]
        ledger.try_to_break(bakery.old, bakery.new, bakery.standby, up_to=level)


def test_c_the_old_board_is_dead(bakery: Bakery) -> None:
    ledger = bakery.ledger
    bakery.export("old")
    bakery.import_on("new")
    bakery.on("new", "unlock", "baker")
    for level in range(1_001, 1_200):  # after the file was written
        assert ledger.sign(bakery.new, level)
    bakery.import_on("standby")  # "new" is dead from here
    bakery.on("standby", "advanced", "set-level", "baker", "1210", "--yes")
    bakery.on("standby", "unlock", "baker")
    ledger.try_to_break(bakery.standby, up_to=1_210)
    assert ledger.sign(bakery.standby, 1_211)


def test_c_without_its_third_step_is_what_the_ledger_is_for(bakery: Bakery) -> None:
    bakery.export("old")
    bakery.import_on("new")
    bakery.on("new", "unlock", "baker")
    assert bakery.ledger.sign(bakery.new, 1_050)
    bakery.import_on("standby")
    bakery.on("standby", "unlock", "baker")
    with pytest.raises(AssertionError, match="two signatures at 1050"):
        bakery.ledger.try_to_break(bakery.standby, up_to=1_050)


def test_d_marks_of_octez_signer(bakery: Bakery, tmp_path: Path) -> None:
    mark = {"level": 1_100, "round": 0, "hash": "00" * 32, "signature": "edsig"}
    file = tmp_path / "attestation_high_watermarks"
    file.write_text(json.dumps({"NetXdQprcVkpaWU": {bakery.ledger._address: mark}}))
    bakery.on("old", "advanced", "marks", "import", str(file), "--yes")
    bakery.ledger.try_to_break(bakery.old, up_to=1_000)
    assert not bakery.ledger.sign(bakery.old, 1_100)
    assert bakery.ledger.sign(bakery.old, 1_101)


def test_every_command_of_the_page_exists(bakery: Bakery, monkeypatch: pytest.MonkeyPatch) -> None:
    page = (Path(__file__).parents[2] / "docs/failover.md").read_text()
    for command in ("keys export", "keys import", "marks export", "marks import", "retire",
                    "set-level"):  # fmt: skip
        assert f"advanced {command}" in page
        assert bakery.desk.run("advanced", *command.split(), "--help") == ExitStatus.DONE
