"""The lab's contract, on the lab itself. A boot costs some seconds, so one test asks for a lot."""

import json
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pytest

from tests.lab.api import lab_command, run_in_lab
from tests.lab.arguments import EXIT_LAB_FAILED, EXIT_TIMEOUT
from tests.lab.plan import PROJECT
from tests.lab_tour import EXIT_STATUS, LARGE_BYTES, WRITTEN

pytestmark = [pytest.mark.lab, pytest.mark.timeout(600)]

GONE_MS: Final = 20_000
OPTIONS: Final = "/proc/fs/ext4/vda/options"


@contextmanager
def running_lab(
    script: str, *options: str, timeout_s: float = 120.0
) -> Iterator[subprocess.Popen[str]]:
    """A lab whose command, a shell script, has said "up"."""
    words = lab_command(["sh", "-c", f"echo up; {script}"], timeout_s=timeout_s)
    words[3:3] = options
    with subprocess.Popen(
        words, cwd=PROJECT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as lab:
        try:
            assert lab.stdout is not None
            assert lab.stdout.readline() == "up\n"
            yield lab
        finally:
            lab.kill()


def find_child(pid: int) -> int:
    """A descriptor of the process's only child, which outlives the process number."""
    (child,) = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return os.pidfd_open(int(child))


def is_gone(process: int) -> bool:
    poll = select.poll()
    poll.register(process, select.POLLIN)
    return bool(poll.poll(GONE_MS))


def test_guest_is_as_promised_and_nothing_is_lost(tmp_path: Path) -> None:
    # The checkout itself may lie in /tmp, which is writable in the guest.
    with tempfile.TemporaryDirectory(dir="/var/tmp") as folder:
        outside, temporary, out = Path(folder) / "file", tmp_path / "file", Path(folder) / "a" / "b"
        outside.write_text("outside")
        temporary.write_text("temporary")
        environment = {"TEZSIGN_FOLDER": str(PROJECT), "OF_THE_HOST": "1"}
        with pytest.MonkeyPatch.context() as patch:
            for name, value in environment.items():
                patch.setenv(name, value)
            done = run_in_lab(
                [sys.executable, PROJECT / "tests" / "lab_tour.py", outside, temporary, out],
                out=out,
            )
        assert (out / WRITTEN).read_text() == "by the guest"
        assert not (outside.parent / WRITTEN).exists()
        assert not (temporary.parent / WRITTEN).exists()
    assert done.stderr == "e" * LARGE_BYTES
    assert done.stdout == "o" * LARGE_BYTES
    assert done.returncode == EXIT_STATUS


def test_disk_keeps_its_data_and_journals_it(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    first = run_in_lab(["sh", "-c", f"cat {OPTIONS}; echo kept > /data/file"], disk=disk)
    assert first.returncode == 0, first.stderr
    assert "data=journal" in first.stdout.splitlines()
    second = run_in_lab(["cat", "/data/file", OPTIONS], disk=disk)
    assert second.stdout.startswith("kept\n")
    assert "data=journal" in second.stdout.splitlines()


def test_disk_that_holds_something_else_is_left_alone(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    content = b"not a file system".ljust(8 << 20, b"\0")
    disk.write_bytes(content)
    done = run_in_lab(["true"], disk=disk)
    assert done.returncode == EXIT_LAB_FAILED
    assert "neither blank nor ext4" in done.stderr
    assert disk.read_bytes() == content


def test_timeout_ends_the_guest() -> None:
    with running_lab("sleep 1000", timeout_s=12.0) as lab:
        qemu = find_child(lab.pid)
        assert lab.wait() == EXIT_TIMEOUT
        assert is_gone(qemu)


def test_interrupt_is_the_commands_to_handle() -> None:
    with running_lab(
        "trap 'echo caught; exit 7' INT; echo ready; while :; do sleep 0.1; done"
    ) as lab:
        qemu = find_child(lab.pid)
        assert lab.stdout is not None
        assert lab.stdout.readline() == "ready\n"
        lab.send_signal(signal.SIGINT)
        assert lab.stdout.read() == "caught\n"
        assert lab.wait() == 7
        assert is_gone(qemu)


@pytest.mark.parametrize("victim", ["lab", "parent of the lab"])
def test_nothing_outlives_a_killed(victim: str) -> None:
    words = lab_command(["sh", "-c", "echo up; sleep 1000"])
    parent = [sys.executable, "-c", "import subprocess, sys; subprocess.run(sys.argv[1:])", *words]
    with subprocess.Popen(parent, cwd=PROJECT, stdout=subprocess.PIPE, text=True) as started:
        assert started.stdout is not None
        assert started.stdout.readline() == "up\n"
        (child,) = Path(f"/proc/{started.pid}/task/{started.pid}/children").read_text().split()
        lab, qemu = find_child(started.pid), find_child(int(child))
        if victim == "lab":
            signal.pidfd_send_signal(lab, signal.SIGKILL)
        else:
            started.kill()
        assert is_gone(qemu)
        assert is_gone(lab)


def test_panic_is_a_failure_that_shows_the_console() -> None:
    panic = "trap 'echo c > /proc/sysrq-trigger' TERM; echo ready; while :; do sleep 0.1; done"
    with running_lab(panic) as lab:
        assert lab.stdout is not None
        assert lab.stderr is not None
        assert lab.stdout.readline() == "ready\n"
        lab.terminate()
        assert "Kernel panic" in lab.stderr.read()
        assert lab.wait() == EXIT_LAB_FAILED


def test_forwarded_port_leads_into_the_guest() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    serve = "exec python3 -c \"import socket; c, _ = socket.create_server(('', 80)).accept();"
    with running_lab(
        f'{serve} c.sendall(b\\"from the guest\\")"', "--forward", f"{port}:80"
    ) as lab:
        received = b""
        while not received:  # until the guest listens, the connection is taken and dropped
            with socket.create_connection(("127.0.0.1", port)) as connection:
                received = connection.recv(100)
        assert received == b"from the guest"
        assert lab.wait() == 0


def test_command_that_does_not_exist_is_127() -> None:
    done = run_in_lab(["tezsign-no-such-program"])
    assert done.returncode == 127
    assert "tezsign-no-such-program" in done.stderr


def test_gadget_is_ready_before_the_command_starts(tmp_path: Path) -> None:
    done = run_in_lab(["tezsign", "list-devices"], gadget=True, out=tmp_path)
    assert done.returncode == 0, done.stderr
    (device,) = json.loads(done.stdout)
    assert device["ready"] is True
    assert "descriptors are written" in (tmp_path / "registrar.log").read_text()


def test_gadget_that_does_not_come_up_shows_its_logs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEZSIGN_FFS", "/proc/not/here")
    done = run_in_lab(["echo", "started"], gadget=True)
    assert done.returncode == EXIT_LAB_FAILED
    assert done.stdout == ""
    assert "setup-gadget: [Errno 2]" in done.stderr
