"""attach-gadget as a service: keeps the gadget bound, and takes it off when the registrar asks."""

import pwd
import socket
import subprocess
import sys
from pathlib import Path
from typing import Final

from tests.lab.guest.gadget import is_ready_device_there
from tests.registrar.loop import wait_until
from tests.systemd.units import PATIENCE_S, device_number, journal, main_pid, run, wait_ready

SOCKET: Final = "/run/tezsign/attach.sock"
BOUND: Final = Path("/sys/kernel/config/usb_gadget/tezsign/UDC")
SEND: Final = """
import socket, sys
with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
    s.sendto(sys.argv[1].encode(), sys.argv[2])
"""


def send(user: str, message: str) -> int:
    """Returns the exit status of a process of that user's that sends it."""
    account = pwd.getpwnam(user)
    words = [sys.executable, "-IS", "-c", SEND, message, SOCKET]
    done = subprocess.run(
        words, user=account.pw_uid, group=account.pw_gid, extra_groups=[], check=False, timeout=30
    )
    return done.returncode


def count(text: str) -> int:
    return sum(text in str(entry["MESSAGE"]) for entry in journal("attach-gadget"))


def test_gadget_that_was_unbound_is_bound_again() -> None:
    device, losses = device_number(), count("was unbound")
    run("/app/bin/attach-gadget", "detach")
    wait_until(lambda: count("was unbound") > losses, PATIENCE_S)
    wait_ready()
    assert device_number() != device


def test_stop_leaves_the_board_on_the_bus() -> None:
    device = device_number()
    run("systemctl", "stop", "attach-gadget.service")
    assert is_ready_device_there()
    assert not Path(SOCKET).exists()
    run("systemctl", "start", "attach-gadget.service")
    wait_ready()
    assert device_number() == device


def test_bounce_is_the_registrars_and_once_a_minute() -> None:
    run("systemctl", "restart", "attach-gadget.service")
    device = device_number()
    assert send("nobody", "bounce") == 1  # no permission to send
    refused = count("refused")
    assert send("tezsign", "bounce") == 0
    wait_until(lambda: count("refused") == refused + 1, PATIENCE_S)
    assert send("registrar", "bouncer") == 0
    wait_until(lambda: count("refused") == refused + 2, PATIENCE_S)
    assert device_number() == device
    bounces = count("bounce 1:")
    assert send("registrar", "bounce") == 0
    wait_until(lambda: count("bounce 1:") > bounces, PATIENCE_S)
    wait_until(lambda: bool(BOUND.read_text().strip()), PATIENCE_S)
    wait_ready()
    bounced = device_number()
    assert bounced != device
    assert send("registrar", "bounce") == 0
    wait_until(lambda: count("refused") == refused + 3, PATIENCE_S)
    assert device_number() == bounced


def test_flood_of_requests_neither_stops_nor_grows_it() -> None:
    pid, device = main_pid("attach-gadget"), device_number()
    account = pwd.getpwnam("registrar")
    flood = f"""
import os, socket
os.setgroups([]); os.setgid({account.pw_gid}); os.setuid({account.pw_uid})
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
for _ in range(200): s.sendto(b"x" * 4096, {SOCKET!r})
"""
    subprocess.run([sys.executable, "-IS", "-c", flood], check=True, timeout=PATIENCE_S)
    wait_ready()
    assert main_pid("attach-gadget") == pid
    assert device_number() == device


def test_development_image_has_a_network_card_beside_the_signer() -> None:
    run("systemctl", "start", "attach-gadget-dev.service")
    try:
        wait_ready()
        interfaces = run("sh", "-c", "cat /sys/bus/usb/devices/1-1/bNumInterfaces").strip()
        assert interfaces == "4"
        assert (
            run("systemctl", "is-active", "attach-gadget.service", expect=3).strip() == "inactive"
        )
        assert "usb0" in [name for _, name in socket.if_nameindex()]
    finally:
        # Each stops the other: the tests that come next are about the one of a production image.
        run("systemctl", "start", "attach-gadget.service")
    assert main_pid("attach-gadget-dev") == 0
