"""The host's unit beside the board's: the signer works in its sandbox, with what the rule gives."""

import http.client
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from broker.contract import VENDOR_ID
from tests.kernel.usbfs import find_device
from tests.registrar.loop import wait_until
from tests.systemd.units import (
    PATIENCE_S,
    journal,
    kill,
    read_property,
    run,
    wait_ready,
    wait_started_again,
)

UNIT = "tezsign-host"
STORE = Path("/etc/credstore/tezsign-passphrase")
FOLDER = Path(f"/run/credentials/{UNIT}.service")
PLUGDEV = 46  # tests/lab/guest/systemd_root.py


def give_to_plugdev() -> None:
    """What 99-tezsign.rules does where there is udev."""
    device = find_device(VENDOR_ID)
    bus, number = (int((device / name).read_text()) for name in ("busnum", "devnum"))
    node = Path(f"/dev/bus/usb/{bus:03}/{number:03}")
    os.chown(node, 0, PLUGDEV)
    node.chmod(0o660)


def count(text: str) -> int:
    return sum(text in str(entry["MESSAGE"]) for entry in journal(UNIT))


@pytest.fixture(scope="module")
def signer() -> Iterator[None]:
    wait_ready()
    give_to_plugdev()
    run("systemctl", "start", f"{UNIT}.service")
    yield
    run("systemctl", "stop", f"{UNIT}.service")


@pytest.mark.usefixtures("signer")
def test_signer_serves_the_board_from_its_sandbox() -> None:
    wait_until(lambda: count("session opened") > 0, PATIENCE_S)
    connection = http.client.HTTPConnection("127.0.0.1", 20090, timeout=PATIENCE_S)
    connection.request("GET", "/authorized_keys")
    assert connection.getresponse().status == 200
    connection.close()
    assert (
        "CapEff:\t0000000000000000"
        in Path(f"/proc/{read_property(UNIT, 'MainPID')}/status").read_text()
    )


@pytest.mark.usefixtures("signer")
def test_killed_signer_comes_back_and_opens_its_session_again() -> None:
    sessions = count("session opened")
    before, _ = kill(UNIT)
    wait_started_again(UNIT, before)
    wait_until(lambda: count("session opened") > sessions, PATIENCE_S)


@pytest.mark.usefixtures("signer")
def test_passphrase_is_taken_from_the_credential_store() -> None:
    assert not (FOLDER / STORE.name).exists()  # it started without one
    STORE.parent.mkdir(mode=0o700)
    STORE.write_text("correct horse")
    try:
        run("systemctl", "restart", f"{UNIT}.service")
        assert (FOLDER / STORE.name).read_text() == "correct horse"
    finally:
        STORE.unlink()
        STORE.parent.rmdir()
