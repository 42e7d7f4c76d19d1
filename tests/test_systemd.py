"""Boots the lab with a real systemd and runs tests/systemd there: what only that can show."""

import shlex
import sys
from pathlib import Path

import pytest

from tests.lab.api import run_in_lab

pytestmark = [pytest.mark.lab, pytest.mark.timeout(1200)]

# Two boots, each half as long. In this order: `units` looks at a board that nobody has touched yet.
_BOOTS = [
    ("units", "attachment", "registrar"),
    ("restarts", "host", "operations", "log_volume", "chrony"),
]

_TEST_TIMEOUT_S = 400
_PASSED = 7  # the status that the last command gives


@pytest.mark.parametrize("names", _BOOTS, ids=lambda names: names[0])
def test_in_the_lab(tmp_path: Path, names: tuple[str, ...]) -> None:
    words = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:randomly"]
    words += ["--timeout", str(_TEST_TIMEOUT_S), "--durations=0", "--durations-min=1"]
    words += [f"tests/systemd/test_{name}.py" for name in names]
    disk = tmp_path / "disk"
    command = ["sh", "-c", f"{shlex.join(words)} && echo kept > /data/file && exit 7"]
    done = run_in_lab(command, systemd=True, disk=disk, timeout_s=900)
    print(done.stdout)
    assert done.returncode == _PASSED, done.stdout + done.stderr
    assert " passed" in done.stdout
    assert "skipped" not in done.stdout
    # What was written last is on the disk: the guest stops the daemons and leaves it in order.
    assert run_in_lab(["cat", "/data/file"], disk=disk).stdout == "kept\n"
