"""`tezsign advanced marks` on a board's own code: what is written, read, told and asked."""

import json
from pathlib import Path
from typing import Any

import pytest

from broker.messages import ErrorCode
from host.errors import ExitStatus, Refused
from tests.host.desk import Desk, open_desk

CHAIN = "NetXdQprcVkpaWU"
STRANGER = "tz1VSUr8wwNhLAzempoch5d6hLRiTh8Cjcjb"


@pytest.fixture
def desk(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Desk:
    return open_desk(monkeypatch, capsys, "a1")


def address(desk: Desk) -> str:
    return str(desk.json("list")[0]["pkh"])


def write(folder: Path, content: object, name: str = "marks.json") -> str:
    path = folder / name
    path.write_text(json.dumps(content))
    return str(path)


def ours(desk: Desk, level: int, **more: Any) -> dict[str, Any]:
    return {CHAIN: {address(desk): {"attestation": {"level": level, "round": 0}, **more}}}


def test_export_prints_the_file_and_warns_of_a_key_that_goes_on(desk: Desk) -> None:
    desk.sign(10)
    content = desk.json("advanced", "marks", "export")
    entry = content[CHAIN][address(desk)]
    assert set(entry) == {"attestation"}
    assert entry["attestation"]["level"] == 10
    assert len(entry["attestation"]["hash"]) == 64
    desk.run("advanced", "marks", "export")
    assert desk.errors == "tezsign: baker is not retired and may sign above these marks\n"
    desk.json("advanced", "retire", "baker", "--last-level", "15", "--yes")
    content = desk.json("advanced", "marks", "export", "baker")
    assert content[CHAIN][address(desk)]["last_level"] == 15
    assert desk.errors == ""


def test_export_tells_of_a_key_that_can_not_be_read(desk: Desk) -> None:
    desk.json("lock")
    assert desk.run("advanced", "marks", "export") == ExitStatus.REFUSED
    assert json.loads(desk.output) == {}
    assert "not exported: baker: the key baker is locked" in desk.errors


def test_import_raises_and_says_what(desk: Desk, tmp_path: Path) -> None:
    desk.sign(10)
    file = write(tmp_path, ours(desk, 20, last_level=30))
    (row,) = desk.json("advanced", "marks", "import", file, "--yes")
    assert row["id"] == "baker"
    assert row["code"] == 0
    assert f"{CHAIN} attestation to 30" in row["message"]
    with pytest.raises(Refused) as refused:
        desk.sign(30)
    assert refused.value.code == ErrorCode.STALE_WATERMARK
    desk.sign(31)


def test_import_reads_the_files_of_octez_signer(desk: Desk, tmp_path: Path) -> None:
    mark = {"level": 20, "round": 0, "hash": "00" * 32, "signature": "edsig"}
    content = {CHAIN: {address(desk): mark}}
    files = [
        write(tmp_path, content, f"{kind}_high_watermarks")
        for kind in ("block", "preendorsement", "endorsement")
    ]
    rows = desk.json("advanced", "marks", "import", *files, "--yes")
    assert [row["code"] for row in rows] == [0, 0, 0]
    (key,) = desk.json("status")
    assert {mark["level"] for mark in key["marks"].values()} == {20}
    nameless = write(tmp_path, content, "marks.json")
    line = desk.refuse(ExitStatus.USAGE, "advanced", "marks", "import", nameless, "--yes")
    assert "--kind" in line
    assert nameless in line
    desk.json("advanced", "marks", "import", nameless, "--kind", "block", "--yes")


def test_import_tells_of_addresses_that_are_not_here(desk: Desk, tmp_path: Path) -> None:
    content = ours(desk, 20)
    content[CHAIN][STRANGER] = {"block": {"level": 5, "round": 0}}
    rows = desk.json("advanced", "marks", "import", write(tmp_path, content), "--yes")
    messages = {row["pkh"]: row["message"] for row in rows}
    assert messages[STRANGER] == "no such key on this board"
    assert "raised" in messages[address(desk)]
    only_stranger = write(tmp_path, {CHAIN: {STRANGER: {}}})
    desk.type_in("")
    assert desk.run("advanced", "marks", "import", only_stranger) == ExitStatus.DONE
    assert "no such key" in desk.output


def test_import_that_is_refused_for_a_key_says_so(desk: Desk, tmp_path: Path) -> None:
    desk.sign(10)
    file = write(tmp_path, ours(desk, 1_000_000))
    assert desk.run("advanced", "marks", "import", file, "--yes") == ExitStatus.REFUSED
    assert json.loads(desk.output)[0]["code"] == ErrorCode.CHANGE_REFUSED
    assert "not imported: baker" in desk.errors


def test_import_is_confirmed(desk: Desk, tmp_path: Path) -> None:
    file = write(tmp_path, ours(desk, 20, last_level=30))
    desk.type_in("no\n")
    assert desk.run("advanced", "marks", "import", file) == ExitStatus.USAGE
    assert f"baker on {CHAIN}: attestation 20/0, all up to 30 will be used up" in desk.errors
    desk.sign(5)


@pytest.mark.parametrize("text", ["", "[]", '{"NetXdQprcVkpaWU": {"tz1": {}}}'])
def test_a_file_that_is_none_is_named(desk: Desk, tmp_path: Path, text: str) -> None:
    path = tmp_path / "junk"
    path.write_text(text)
    assert str(path) in desk.refuse(
        ExitStatus.USAGE, "advanced", "marks", "import", str(path), "--yes"
    )
    missing = str(tmp_path / "missing")
    assert missing in desk.refuse(ExitStatus.USAGE, "advanced", "marks", "import", missing, "--yes")


def test_more_keys_than_one_message_takes(desk: Desk, tmp_path: Path) -> None:
    names = [f"key-{number}" for number in range(20)]
    desk.json("new", *names, "--type", "tz1")
    content = {
        CHAIN: {key["pkh"]: {"block": {"level": 5, "round": 0}} for key in desk.json("list")}
    }
    rows = desk.json("advanced", "marks", "import", write(tmp_path, content), "--yes")
    assert sorted(row["id"] for row in rows if row["code"] == 0) == sorted(["baker", *names])
