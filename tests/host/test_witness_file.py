"""The witness's file: whole or damaged, replaced in one step, merged with what others wrote."""

import json
import os
import stat
import threading
from pathlib import Path

import pytest

from host.errors import UsageError, WitnessDamaged
from host.witness import Place, SeenMark
from host.witness_file import WitnessFile, default_place
from tezos.consensus import Kind

PLACE = Place(address="tz4a", chain_id="NetXa", kind=Kind.ATTESTATION)
OTHER = Place(address="tz1b", chain_id="NetXa", kind=Kind.BLOCK)


def mark(level: int, payload_hash: bytes | None = None) -> SeenMark:
    return SeenMark(level=level, round=1, payload_hash=payload_hash)


@pytest.fixture
def file(tmp_path: Path) -> WitnessFile:
    return WitnessFile(tmp_path / "made" / "witness.json")


def test_file_that_is_not_there_is_new(file: WitnessFile) -> None:
    assert file.load() == {}


def test_what_was_written_is_read(file: WitnessFile) -> None:
    marks = {PLACE: mark(7, bytes(range(32))), OTHER: mark(8)}
    assert file.merge(marks) == marks
    assert file.load() == marks
    assert file.path.stat().st_mode & 0o777 == 0o600
    assert file.path.parent.stat().st_mode & 0o777 == 0o700


def test_higher_mark_of_file_and_memory_wins(file: WitnessFile) -> None:
    file.merge({PLACE: mark(7), OTHER: mark(9)})
    merged = file.merge({PLACE: mark(8), OTHER: mark(1)})
    assert merged == file.load() == {PLACE: mark(8), OTHER: mark(9)}


def test_every_cut_and_every_changed_byte_is_damage(file: WitnessFile) -> None:
    file.merge({PLACE: mark(7, bytes(32))})
    whole = file.path.read_bytes()
    assert whole.endswith(b"}\n")
    for size in range(len(whole) - 1):
        file.path.write_bytes(whole[:size])
        with pytest.raises(WitnessDamaged):
            file.load()
    marks = {PLACE: mark(7, bytes(32))}
    for index in range(len(whole)):
        file.path.write_bytes(whole[:index] + bytes([whole[index] ^ 1]) + whole[index + 1 :])
        try:
            assert file.load() == marks, index  # white space, or the case of a digit
        except WitnessDamaged as error:
            assert "move it away" in str(error)  # noqa: PT017 - either is right


@pytest.mark.parametrize(
    "text",
    ["", "null", "[]", "{}", "7", '{"format": 2, "check": "", "marks": []}', "\x00" * 300,
     "[" * 100_000],
)  # fmt: skip
def test_anything_else_is_damage(file: WitnessFile, text: str) -> None:
    file.path.parent.mkdir()
    file.path.write_text(text)
    with pytest.raises(WitnessDamaged):
        file.load()
    with pytest.raises(WitnessDamaged):
        file.merge({PLACE: mark(1)})
    assert file.path.read_text() == text


def test_lowered_mark_is_damage(file: WitnessFile) -> None:
    file.merge({PLACE: mark(7)})
    value = json.loads(file.path.read_text())
    value["marks"][0]["level"] = 6
    file.path.write_text(json.dumps(value))
    with pytest.raises(WitnessDamaged, match="not whole"):
        file.load()


def test_folder_in_its_place_is_damage(file: WitnessFile) -> None:
    file.path.mkdir(parents=True)
    with pytest.raises(WitnessDamaged, match="directory"):
        file.load()


def test_power_cut_leaves_the_old_file_or_the_new_one(
    file: WitnessFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The order of calls: data and its fsync, then the rename, then the folder's fsync."""
    calls: list[str] = []
    real_fsync, real_replace = os.fsync, Path.replace

    def fsync(fd: int) -> None:
        calls.append("folder" if stat.S_ISDIR(os.fstat(fd).st_mode) else "data")
        real_fsync(fd)

    def replace(self: Path, target: Path) -> Path:
        assert json.loads(self.read_bytes())["marks"]
        calls.append("rename")
        return real_replace(self, target)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(Path, "replace", replace)
    file.merge({PLACE: mark(7)})
    assert calls == ["data", "rename", "folder"]


def test_failed_write_leaves_the_old_file(
    file: WitnessFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    file.merge({PLACE: mark(7)})

    def fail(_fd: int) -> None:
        raise OSError(28, "no space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="no space"):
        file.merge({PLACE: mark(8)})
    monkeypatch.undo()
    assert file.load() == {PLACE: mark(7)}
    assert file.merge({}) == {PLACE: mark(7)}


def test_two_signers_on_one_file_lose_nothing(file: WitnessFile) -> None:
    places = [Place(address=f"tz4{n}", chain_id="NetXa", kind=Kind.BLOCK) for n in range(4)]

    def write(place: Place) -> None:
        for level in range(20):
            file.merge({place: mark(level)})

    threads = [threading.Thread(target=write, args=[place]) for place in places]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert file.load() == dict.fromkeys(places, mark(19))


def test_place_of_the_file() -> None:
    service = {"STATE_DIRECTORY": "/var/lib/tezsign:/var/lib/more", "XDG_STATE_HOME": "/x"}
    assert default_place(service) == Path("/var/lib/tezsign/witness.json")
    assert default_place({"XDG_STATE_HOME": "/x"}) == Path("/x/tezsign/witness.json")


def test_account_without_a_home_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(self: Path) -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "expanduser", fail)
    with pytest.raises(UsageError, match="--witness-file"):
        default_place({})
