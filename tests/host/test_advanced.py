"""passwd and the commands of `tezsign advanced` on a board's own code: effect, output, end."""

import io
import sys
from pathlib import Path

import pytest

from broker.messages import ErrorCode
from host.errors import ExitStatus, Refused
from host.settings import ENV_PASSPHRASE
from tests.gadget.keychain.board import PASSPHRASE
from tests.host.desk import Desk, open_desk

OTHER_CHAIN = "NetXnHfVqm9iesp"


@pytest.fixture
def desk(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Desk:
    return open_desk(monkeypatch, capsys, "a1")


def test_set_level_is_refused_below_and_used_up_above(desk: Desk) -> None:
    signature = desk.sign(10)
    assert desk.sign(10) == signature
    key = desk.json("advanced", "set-level", "baker", "20", "--yes")
    assert key["marks"]["attestation"] == {"level": 20, "round": 2**31 - 1}
    with pytest.raises(Refused) as refused:
        desk.sign(20)
    assert refused.value.code == ErrorCode.STALE_WATERMARK
    line = desk.refuse(ExitStatus.REFUSED, "advanced", "set-level", "baker", "19", "--yes")
    assert "never lowered" in line
    assert "(code 81)" in line
    desk.sign(21)


def test_set_level_takes_a_chain(desk: Desk) -> None:
    desk.json("advanced", "set-level", "baker", "20", "--chain", OTHER_CHAIN, "--yes")
    desk.sign(10)
    key = desk.json("advanced", "set-chain", "baker", OTHER_CHAIN)
    assert key["chain_id"] == OTHER_CHAIN
    assert key["marks"]["block"]["level"] == 20


def test_set_chain_binds_the_key(desk: Desk) -> None:
    desk.json("advanced", "set-chain", "baker", OTHER_CHAIN)
    with pytest.raises(Refused) as refused:
        desk.sign(10)
    assert refused.value.code == ErrorCode.WRONG_CHAIN
    desk.json("advanced", "set-chain", "baker", "mainnet")
    desk.sign(10)


def test_a_chain_that_is_none_is_a_wrong_use(desk: Desk) -> None:
    line = desk.refuse(ExitStatus.USAGE, "advanced", "set-chain", "baker", "first")
    assert "neither mainnet nor" in line


def test_retire_holds_and_is_only_lowered(desk: Desk) -> None:
    desk.sign(10)
    key = desk.json("advanced", "retire", "baker", "--last-level", "15", "--yes")
    assert key["last_level"] == 15
    desk.sign(15)
    with pytest.raises(Refused) as refused:
        desk.sign(16)
    assert refused.value.code == ErrorCode.KEY_RETIRED
    assert desk.json("advanced", "retire", "baker", "--last-level", "12", "--yes")
    line = desk.refuse(
        ExitStatus.REFUSED, "advanced", "retire", "baker", "--last-level", "13", "--yes"
    )
    assert "never raised" in line


@pytest.mark.parametrize(
    "arguments", [("set-level", "baker", "20"), ("retire", "baker", "--last-level", "20")]
)
def test_what_can_not_be_undone_is_confirmed(desk: Desk, arguments: tuple[str, ...]) -> None:
    desk.sign(10)
    line = desk.refuse(ExitStatus.USAGE, "advanced", *arguments)
    assert "say --yes" in line
    desk.type_in("no\n")
    assert desk.run("advanced", *arguments) == ExitStatus.USAGE
    assert "attestation 10/0" in desk.errors
    assert "can't be undone" in desk.errors
    desk.sign(16)  # nothing was done
    desk.type_in("yes\n")
    assert desk.run("advanced", *arguments) == ExitStatus.DONE
    assert "20" in desk.output or "21" in desk.output


def test_a_key_that_is_not_there_is_a_wrong_use(desk: Desk) -> None:
    line = desk.refuse(ExitStatus.USAGE, "advanced", "set-level", "nobody", "1", "--yes")
    assert "no key nobody" in line


def test_a_table_shows_a_level_that_was_set(desk: Desk) -> None:
    desk.json("advanced", "set-level", "baker", "20", "--yes")
    desk.type_in("")
    assert desk.run("status") == ExitStatus.DONE
    assert "20/all" in desk.output


def test_lost_marks_come_back_by_set_level(desk: Desk) -> None:
    desk.sign(10)
    address = desk.json("list")[0]["pkh"]
    for slot in (0, 1):
        desk.board.disk.damage(f"marks/{address}.{slot}", None)
    desk.board.restart()
    assert desk.run("unlock") == ExitStatus.REFUSED
    assert "damaged or missing" in desk.output
    desk.json("advanced", "set-level", "baker", "20", "--yes")
    assert desk.run("unlock") == ExitStatus.DONE
    desk.sign(21)


# passwd


def test_passwd_changes_the_passphrase(desk: Desk, tmp_path: Path) -> None:
    new = tmp_path / "new"
    new.write_text("battery staple\n")
    assert desk.json("passwd", "--new-passphrase-file", str(new)) == {"changed": True}
    desk.sign(10)
    desk.json("lock")
    desk.refuse(ExitStatus.REFUSED, "unlock")
    assert desk.run("unlock", "--passphrase-file", str(new)) == ExitStatus.DONE


def test_both_passphrases_may_come_from_standard_input(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = io.TextIOWrapper(io.BytesIO(PASSPHRASE + b"\nbattery staple\n"))
    monkeypatch.setattr(sys, "stdin", lines)
    desk.json("passwd", "--passphrase-file", "-", "--new-passphrase-file", "-")
    monkeypatch.setenv(ENV_PASSPHRASE, "battery staple")
    desk.json("lock")
    assert desk.run("unlock") == ExitStatus.DONE


def test_passwd_never_takes_the_new_passphrase_from_the_environment(desk: Desk) -> None:
    line = desk.refuse(ExitStatus.USAGE, "passwd")
    assert "--new-passphrase-file" in line


def test_a_new_passphrase_is_typed_twice(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    prompts: list[str] = []

    def answer(prompt: str) -> str:
        prompts.append(prompt)
        return "battery staple"

    desk.type_in("")
    monkeypatch.setattr("getpass.getpass", answer)
    assert desk.run("passwd") == ExitStatus.DONE
    assert prompts == ["New passphrase: ", "The same again: "]
    assert "changed" in desk.output
