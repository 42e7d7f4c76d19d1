"""The process: exit statuses and signals, over a pipe that stands for ep0."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from registrar.descriptors import TEZSIGN_FUNCTION, encode_descriptors, encode_strings

WRITTEN = encode_descriptors(TEZSIGN_FUNCTION) + encode_strings(TEZSIGN_FUNCTION)


def start(folder: Path, **environment: str) -> "subprocess.Popen[str]":
    given = {"TEZSIGN_FFS": str(folder), "TEZSIGN_RUN": str(folder), **environment}
    return subprocess.Popen(
        [sys.executable, "-m", "registrar"],
        env=os.environ | given,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.fixture
def serial_line(tmp_path: Path) -> Iterator[int]:
    """An ep0 that is a terminal in raw mode: it takes the descriptors, and has no events."""
    import tty  # noqa: PLC0415

    ours, theirs = os.openpty()
    tty.setraw(theirs)
    (tmp_path / "ep0").symlink_to(os.ttyname(theirs))
    yield ours
    os.close(ours)
    os.close(theirs)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signal_ends_the_process_with_success(
    tmp_path: Path, serial_line: int, number: signal.Signals
) -> None:
    with start(tmp_path) as process:
        written = b""
        while len(written) < len(WRITTEN):
            written += os.read(serial_line, 65536)
        assert written == WRITTEN
        assert process.stderr is not None
        assert "descriptors are written" in process.stderr.readline()
        process.send_signal(number)
        assert process.wait(timeout=10) == 0
        assert "stopped" in process.stderr.read()


def test_missing_functionfs_is_status_1_and_one_line(tmp_path: Path) -> None:
    with start(tmp_path) as process:
        _, stderr = process.communicate(timeout=10)
    assert process.returncode == 1
    assert stderr.count("\n") == 1
    assert "cannot open" in stderr


def test_bad_setting_is_status_2_and_one_line(tmp_path: Path) -> None:
    with start(tmp_path, TEZSIGN_GADGET_USER="no such user") as process:
        _, stderr = process.communicate(timeout=10)
    assert process.returncode == 2
    assert stderr.count("\n") == 1
    assert "TEZSIGN_GADGET_USER" in stderr
