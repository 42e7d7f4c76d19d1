"""`tezsign health` and `tezsign doctor`: what they print, how they end."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import trio

from broker.messages import ErrorCode
from gadget.health.report import Sample
from host import cli, doctor
from host.commands import health, options
from host.errors import DeviceGone, Refused, UsbUnsupported
from host.finding import Finding
from host.machine_checks import check_clock, check_speed, check_udev_rule
from host.settings import ListenAddress
from host.witness import Place, SeenMark
from host.witness_file import WitnessFile, default_place
from tests.gadget.health.samples import GOOD, with_key
from tests.host.fake_cable import FakeCable
from tests.host.http_serving import serving
from tezos.consensus import Kind

CRITICAL = replace(GOOD, usb=replace(GOOD.usb, state="waiting for USB"))


@pytest.fixture
def cable(monkeypatch: pytest.MonkeyPatch) -> FakeCable:
    cable = FakeCable("a1")
    cable.install(monkeypatch.setattr)
    return cable


@pytest.mark.parametrize(
    ("sample", "status", "state"),
    [
        (GOOD, 0, "healthy"),
        (with_key(lock_state="locked"), 6, "degraded"),
        (CRITICAL, 7, "critical"),
    ],
)
def test_the_exit_status_says_how_the_board_is(
    cable: FakeCable, capsys: pytest.CaptureFixture[str], sample: Sample, status: int, state: str
) -> None:
    cable.board.set_health(sample)
    assert cli.main(["health"]) == status
    assert json.loads(capsys.readouterr().out)["status"] == state
    assert cable.board.clock_s is not None  # the board is told the time


def test_on_a_terminal_it_is_a_screen_that_no_board_controls(
    cable: FakeCable, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(options, "is_terminal", lambda: True)
    cable.board.set_health(with_key(id="\x1b[2Jevil", lock_state="locked"))
    assert cli.main(["health"]) == 6
    output = capsys.readouterr().out
    assert "board a1: degraded" in output
    assert "\x1b[2J" not in output


def test_an_old_board_is_told_of_in_words(
    cable: FakeCable, capsys: pytest.CaptureFixture[str]
) -> None:
    cable.board.failure = Refused(ErrorCode.UNKNOWN_REQUEST, "the operation is not known")
    assert cli.main(["health"]) == 1
    assert "update it" in capsys.readouterr().err


def test_watch_goes_on_through_an_outage_until_ctrl_c(
    cable: FakeCable, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    turns = 0

    async def sleep(_s: float) -> None:
        nonlocal turns
        turns += 1
        cable.board.failure = DeviceGone("the board has left the bus") if turns == 1 else None
        if turns == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr(trio, "sleep", sleep)
    assert cli.main(["health", "--watch"]) == 130
    first, away, back = capsys.readouterr().out.splitlines()
    assert json.loads(first) == json.loads(back)
    assert away == "no report: the board has left the bus"


def diagnose(capture: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, dict[str, Any]]:
    status = cli.main(["doctor", "--json", *arguments])
    found = json.loads(capture.readouterr().out)
    return status, {finding["check"]: finding for finding in found}


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine on which all is well but the board."""
    for name in ("check_clock", "check_udev_rule"):
        monkeypatch.setattr(doctor, name, lambda: Finding.good("machine", ""))
    monkeypatch.setattr(doctor, "check_speed", lambda _port: Finding.good("usb speed", "480"))
    monkeypatch.setattr(doctor, "VERSION", "9.9")


def test_doctor_finds_nothing_where_all_is_well(
    cable: FakeCable, machine: None, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    address = cable.board.keys[0].address
    place = Place(address=address, chain_id="NetXdQprcVkpaWU", kind=Kind.ATTESTATION)
    WitnessFile(default_place()).merge({place: SeenMark(level=100, round=0, payload_hash=None)})
    monkeypatch.setattr(doctor, "_check_http", lambda _l, _k: Finding.good("http signer", ""))
    status, found = diagnose(capsys)
    assert {check: finding["result"] for check, finding in found.items()} == {
        "machine": "ok", "cable": "ok", "permission": "ok", "device mode": "ok", "usb speed": "ok",
        "session": "ok", "versions": "ok", "key key0": "ok", "key key1": "ok", "witness": "ok",
        "health": "ok", "http signer": "ok",
    }  # fmt: skip
    assert status == 0
    assert all(not finding["fix"] for finding in found.values())


def broken(capture: pytest.CaptureFixture[str], check: str) -> str:
    """Returns the fix of the one thing that is broken but for the http signer."""
    status, found = diagnose(capture, "--listen", "127.0.0.1:1")
    assert status == 1
    names = {name for name, finding in found.items() if finding["result"] == "broken"}
    assert names == {check, "http signer"}
    return str(found[check]["fix"])


def test_no_board(cable: FakeCable, machine: None, capsys: pytest.CaptureFixture[str]) -> None:
    cable.boards = ()
    assert "cable" in broken(capsys, "cable")


def test_several_boards(
    cable: FakeCable, machine: None, capsys: pytest.CaptureFixture[str]
) -> None:
    cable.boards = FakeCable("a1", "b2").boards
    assert "--device" in broken(capsys, "cable")


def test_no_permission(cable: FakeCable, machine: None, capsys: pytest.CaptureFixture[str]) -> None:
    (board,) = cable.boards
    cable.boards = (replace(board, readable=False, problem="not allowed"),)
    assert "udev rule" in broken(capsys, "permission")


def test_a_signer_that_is_not_ready(
    cable: FakeCable, machine: None, capsys: pytest.CaptureFixture[str]
) -> None:
    (board,) = cable.boards
    cable.boards = (replace(board, ready=False, problem="its signer has failed"),)
    assert "power" in broken(capsys, "device mode")


def test_a_board_that_does_not_answer(
    cable: FakeCable, machine: None, capsys: pytest.CaptureFixture[str]
) -> None:
    cable.board.failure = DeviceGone("the link to the board was lost")
    assert broken(capsys, "session")


def test_no_libusb(
    cable: FakeCable, machine: None, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    def find() -> None:
        raise UsbUnsupported("there is no libusb")

    monkeypatch.setattr(doctor, "find_devices", find)
    assert "libusb" in broken(capsys, "libusb")


def test_a_board_whose_health_is_critical(
    cable: FakeCable, machine: None, capsys: pytest.CaptureFixture[str]
) -> None:
    cable.board.set_health(CRITICAL)
    assert "tezsign health" in broken(capsys, "health")


def test_marks_behind_the_witness(
    cable: FakeCable, machine: None, capsys: pytest.CaptureFixture[str]
) -> None:
    address = cable.board.keys[0].address
    place = Place(address=address, chain_id="NetXdQprcVkpaWU", kind=Kind.ATTESTATION)
    high = SeenMark(level=12_000_001, round=0, payload_hash=None)
    WitnessFile(default_place()).merge({place: high})
    assert "failover" in broken(capsys, "witness")
    default_place().write_text("junk")
    assert "on-disk" in broken(capsys, "witness")


def test_the_services_witness_is_found_where_this_account_has_none(
    cable: FakeCable, machine: None, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path,
) -> None:  # fmt: skip
    service = tmp_path / "service.json"
    place = Place(
        address=cable.board.keys[0].address, chain_id="NetXdQprcVkpaWU", kind=Kind.ATTESTATION
    )
    WitnessFile(service).merge({place: SeenMark(level=12_000_001, round=0, payload_hash=None)})
    _, found = diagnose(capsys, "--witness-file", str(service))
    assert found["witness"]["result"] == "broken"
    monkeypatch.setattr(health, "_SERVICE_WITNESS", service)
    assert "failover" in broken(capsys, "witness")


def test_an_address_that_is_none_is_told(
    cable: FakeCable, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["doctor", "--listen", "nowhere"]) == 2
    assert "ADDRESS:PORT" in capsys.readouterr().err


def test_a_busy_board_and_an_older_one_are_doubts(
    cable: FakeCable, machine: None, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr(doctor, "VERSION", "9.8")
    _, found = diagnose(capsys)
    assert found["versions"]["result"] == "warning"
    cable.busy = True
    _, found = diagnose(capsys)
    assert found["session"]["result"] == "warning"


async def test_the_port_of_the_baker_is_asked() -> None:
    async with serving() as server:
        listen = ListenAddress(host="127.0.0.1", port=server.port)
        finding = await trio.to_thread.run_sync(doctor._check_http, listen, ())
    assert "serves 1 keys" in finding.found


def test_on_a_terminal_doctor_prints_the_fixes(
    cable: FakeCable, machine: None, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr(options, "is_terminal", lambda: True)
    assert cli.main(["doctor", "--listen", "127.0.0.1:1"]) == 1
    assert "http signer: start tezsign run" in capsys.readouterr().out


def test_the_machine_is_looked_at(tmp_path: Path) -> None:
    assert check_udev_rule((tmp_path,)).fix
    (tmp_path / "99-tezsign.rules").touch()
    assert not check_udev_rule((tmp_path,)).fix
    port = tmp_path / "1-1"
    port.mkdir()
    for speed, is_good in (("12", False), ("480", True), ("junk", True)):
        (port / "speed").write_text(speed)
        assert (check_speed("1-1", tmp_path).fix == "") is is_good
    assert check_clock().check == "clock"
