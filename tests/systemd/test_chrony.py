"""wait-for-chrony with real chrony daemons: one that has a clock to give, one that takes it."""

import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pytest

from tests.systemd.units import PATIENCE_S, drop_in, journal, run

SERVER_PORT: Final = 11123
LIMIT_S: Final = 5
# Its clock is right because it says so; nobody may ask it anything but the time.
SERVER: Final = f"""
local stratum 8
port {SERVER_PORT}
allow 127.0.0.1
cmdport 0
"""
CLIENT: Final = f"""
port 0
server 127.0.0.1 port {SERVER_PORT} iburst minpoll 0 maxpoll 0
"""
ALONE: Final = """
port 0
local stratum 10
"""


@contextmanager
def chronyd(folder: Path, name: str, config: str) -> Iterator[None]:
    """-x: it says what the time is and leaves the machine's clock alone, which both have."""
    file = folder / f"{name}.conf"
    file.write_text(f"{config}pidfile {folder / name}.pid\nbindcmdaddress 127.0.0.1\n")
    words = ["chronyd", "-n", "-x", "-u", "root", "-f", str(file)]
    with subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            yield
            assert process.poll() is None
        finally:
            process.kill()


@pytest.mark.parametrize("config", ["", ALONE], ids=["no chrony", "no source"])
def test_wait_is_bounded_and_says_why_it_ended(tmp_path: Path, config: str) -> None:
    with drop_in("wait-for-chrony", f"Environment=TEZSIGN_CHRONY_LIMIT_S={LIMIT_S}"):
        started_s = time.monotonic()
        if config:
            with chronyd(tmp_path, "alone", config):
                run("systemctl", "start", "wait-for-chrony.service", expect=1)
        else:
            run("systemctl", "start", "wait-for-chrony.service", expect=1)
        took_s = time.monotonic() - started_s
    print(f"gave up after {took_s:.1f} s of {LIMIT_S} s")
    assert LIMIT_S <= took_s < LIMIT_S + 20
    assert any("not synchronised after" in str(e["MESSAGE"]) for e in journal("wait-for-chrony"))


def test_wait_ends_when_the_clock_is_synchronised(tmp_path: Path) -> None:
    with chronyd(tmp_path, "server", SERVER):
        waiting = subprocess.Popen(["systemctl", "start", "wait-for-chrony.service"])
        with waiting:
            # It waits: there is a server, and nobody who asks it.
            with pytest.raises(subprocess.TimeoutExpired):
                waiting.wait(timeout=3)
            with chronyd(tmp_path, "client", CLIENT):
                assert waiting.wait(timeout=PATIENCE_S) == 0
    run("systemctl", "is-active", "time-sync.target")
