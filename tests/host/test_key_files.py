"""`tezsign advanced keys` on boards' own code: the file, what it needs, how it ends."""

import json
import stat
from pathlib import Path

import pytest

from broker.messages import ErrorCode
from host import key_file
from host.errors import ExitStatus, HostError, Refused, UsageError
from tests.gadget.keychain.board import attest
from tests.host.desk import Desk, open_desk


@pytest.fixture
def desk(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Desk:
    """Two boards; "mobile" on the first may be exported, is unlocked and has signed level 10."""
    desk = open_desk(monkeypatch, capsys, "a1", "b2")
    desk.json("--device", "a1", "new", "mobile", "--type", "tz1", "--exportable")
    desk.json("--device", "a1", "unlock")
    desk.board.ask_signature(address(desk), attest(10))
    return desk


def address(desk: Desk, serial: str = "a1", name: str = "mobile") -> str:
    keys = {key["id"]: key["pkh"] for key in desk.json("--device", serial, "list")}
    return str(keys[name])


@pytest.fixture
def words(tmp_path: Path) -> list[str]:
    path = tmp_path / "words"
    path.write_text("words of the file\n")
    return ["--file-passphrase-file", str(path)]


def test_a_key_moves_in_a_file(desk: Desk, tmp_path: Path, words: list[str]) -> None:
    file = tmp_path / "mobile.json"
    pkh = address(desk)
    told = desk.json(
        "--device", "a1", "advanced", "keys", "export", "mobile", str(file), "--yes", *words
    )
    assert told == {"id": "mobile", "pkh": pkh, "file": str(file)}
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert json.loads(file.read_text())["address"] == pkh
    key = desk.json("--device", "b2", "advanced", "keys", "import", str(file), *words)
    assert (key["id"], key["pkh"], key["lock_state"]) == ("mobile", pkh, "locked")
    desk.json("--device", "b2", "unlock")
    one, other = desk.boards
    with pytest.raises(Refused) as refused:
        one.ask_signature(pkh, attest(11))
    assert refused.value.code == ErrorCode.KEY_RETIRED
    with pytest.raises(Refused):
        other.ask_signature(pkh, attest(10, variant=1))
    other.ask_signature(pkh, attest(11))


def test_an_import_may_give_another_name(desk: Desk, tmp_path: Path, words: list[str]) -> None:
    file = str(tmp_path / "mobile.json")
    desk.json("--device", "a1", "advanced", "keys", "export", "mobile", file, "--yes", *words)
    arguments = ("--device", "b2", "advanced", "keys", "import", file, "--name", "moved", *words)
    assert desk.json(*arguments)["id"] == "moved"
    desk.type_in("")
    assert desk.run(*arguments) == ExitStatus.DONE
    assert "Let it sign: tezsign unlock moved" in desk.output
    assert desk.run("--device", "a1", *arguments[2:]) == ExitStatus.DONE
    assert "retired on this board" in desk.output


def test_a_key_that_stays_leaves_no_file(desk: Desk, tmp_path: Path, words: list[str]) -> None:
    file = tmp_path / "baker.json"
    line = desk.refuse(
        ExitStatus.REFUSED, "--device", "a1", "advanced", "keys", "export", "baker", str(file),
        "--yes", *words,
    )  # fmt: skip
    assert "--exportable" in line
    assert not file.exists()


def test_a_file_that_is_there_is_not_touched(desk: Desk, tmp_path: Path, words: list[str]) -> None:
    file = tmp_path / "mobile.json"
    file.write_text("something")
    for path in (file, tmp_path / "no" / "folder"):
        line = desk.refuse(
            ExitStatus.USAGE, "--device", "a1", "advanced", "keys", "export", "mobile", str(path),
            "--yes", *words,
        )  # fmt: skip
        assert "nothing was done" in line
    assert file.read_text() == "something"
    desk.board.ask_signature(address(desk), attest(11))


def test_a_file_that_can_not_be_written_after_all_is_explained(
    desk: Desk, tmp_path: Path, words: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_fd: int) -> None:
        raise OSError(28, "No space left on device")

    file = tmp_path / "mobile.json"
    arguments = ("--device", "a1", "advanced", "keys", "export", "mobile", str(file), "--yes")
    with monkeypatch.context() as patch:
        patch.setattr("host.commands.key_files.os.fsync", fail)
        line = desk.refuse(ExitStatus.FAILED, *arguments, *words)
    assert "mobile is retired" in line
    assert "again" in line
    assert not file.exists()
    desk.json(*arguments, *words)
    assert file.exists()


def test_an_export_is_confirmed(desk: Desk, tmp_path: Path, words: list[str]) -> None:
    file = tmp_path / "mobile.json"
    arguments = ("--device", "a1", "advanced", "keys", "export", "mobile", str(file), *words)
    assert "say --yes" in desk.refuse(ExitStatus.USAGE, *arguments)
    desk.type_in("no\n")
    assert desk.run(*arguments) == ExitStatus.USAGE
    assert "never sign again on this board" in desk.errors
    assert not file.exists()


def test_a_wrong_passphrase_of_the_file_is_told(
    desk: Desk, tmp_path: Path, words: list[str]
) -> None:
    file = str(tmp_path / "mobile.json")
    desk.json("--device", "a1", "advanced", "keys", "export", "mobile", file, "--yes", *words)
    (tmp_path / "words").write_text("others\n")
    line = desk.refuse(
        ExitStatus.REFUSED, "--device", "b2", "advanced", "keys", "import", file, *words
    )
    assert "(code 86)" in line


@pytest.mark.parametrize(
    "text",
    [
        b"", b"junk", b"{}", b"[]", b'"x"', b"\xff", b"[" * 10_000,
        b'{"tezsign_key": 1}', b'{"tezsign_key": 1, "sealed": 5}',
        b'{"tezsign_key": 1, "sealed": "!"}', b'{"tezsign_key": 1, "sealed": "\xc3\xa4"}',
    ],
)  # fmt: skip
def test_what_is_no_file_with_a_key_is_refused(text: bytes) -> None:
    with pytest.raises(UsageError, match="no file with a key"):
        key_file.parse_key_file(text)


def test_a_file_that_no_request_may_carry_is_refused() -> None:
    most = key_file.encode_key_file("tz1", bytes(4096)).encode()
    assert len(key_file.parse_key_file(most)) == 4096
    with pytest.raises(UsageError, match="too large"):
        key_file.parse_key_file(key_file.encode_key_file("tz1", bytes(4097)).encode())


def test_a_file_of_another_version_is_named() -> None:
    with pytest.raises(HostError, match="another version"):
        key_file.parse_key_file(b'{"tezsign_key": 2, "sealed": ""}')
    assert key_file.parse_key_file(key_file.encode_key_file("tz1", b"sealed").encode()) == b"sealed"


def test_a_file_that_is_not_there_is_a_wrong_use(desk: Desk, tmp_path: Path) -> None:
    missing = str(tmp_path / "missing")
    assert missing in desk.refuse(
        ExitStatus.USAGE, "--device", "b2", "advanced", "keys", "import", missing
    )
