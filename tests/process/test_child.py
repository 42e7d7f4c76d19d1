"""No child, and nothing that a child leaves behind, holds or outlives whoever started it."""

import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Final

import pytest

from tests.process.child import Child
from tests.process.run import run_process
from tests.process.terminal import open_on_terminal
from tests.registrar.loop import wait_until

SHORT_S: Final = 0.2
PATIENCE_S: Final = 20.0
STARTS: Final = 1000
MISSING: Final = ["/nowhere/at/all"]
# The grandchild stays in the group and keeps every descriptor that it was given.
LEAVES_GRANDCHILD: Final = ["sh", "-c", "sleep 1000 & echo $!; exit 3"]
IGNORES_TERM: Final = "trap '' TERM; sleep 1000 & echo $!; wait; wait"  # both of them


def is_alive(pid: int) -> bool:
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return status.rpartition(")")[2].split()[0] not in {"Z", "X"}


def open_descriptors() -> list[str]:
    """Terminals are among them."""
    return sorted(os.listdir("/proc/self/fd"))  # noqa: PTH208 - names only


def children() -> list[str]:
    """The unreaped ones, too."""
    return Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()


def test_status_and_output_come_back_whatever_the_status_is() -> None:
    done = run_process(["sh", "-c", "cat; echo no >&2; exit 7"], limit_s=PATIENCE_S, text="yes")
    assert (done.returncode, done.stdout, done.stderr) == (7, "yes", "no\n")


def test_more_output_than_a_pipe_holds_is_kept_whole() -> None:
    done = run_process(["head", "-c", "1000000", "/dev/zero"], limit_s=PATIENCE_S)
    assert len(done.stdout) == 1_000_000


def test_a_grandchild_that_holds_the_output_holds_nobody_and_is_killed() -> None:
    started_s = time.monotonic()
    done = run_process(LEAVES_GRANDCHILD, limit_s=PATIENCE_S)
    assert time.monotonic() - started_s < PATIENCE_S / 2
    assert done.returncode == 3
    wait_until(lambda: not is_alive(int(done.stdout)))


def test_one_that_left_the_group_holds_no_reader_of_lines() -> None:
    script = "setsid sh -c 'echo $$; exec sleep 5' & sleep 0.2"
    started_s = time.monotonic()
    with Child(["sh", "-c", script], stdout=subprocess.PIPE) as child:
        (line,) = child.lines(child.stdout, PATIENCE_S)
    assert time.monotonic() - started_s < 4
    os.kill(int(line), signal.SIGKILL)


def test_the_limit_ends_the_command_and_its_output_is_told() -> None:
    with pytest.raises(subprocess.TimeoutExpired) as caught:
        run_process(["sh", "-c", "echo $$; exec sleep 1000"], limit_s=SHORT_S)
    assert not is_alive(int(caught.value.output))


def test_one_that_ignores_the_request_to_end_is_killed_with_its_group() -> None:
    with Child(["sh", "-c", IGNORES_TERM], stdout=subprocess.PIPE) as child:
        grandchild = int(next(child.lines(child.stdout, PATIENCE_S)))
        assert child.end(grace_s=SHORT_S) == -signal.SIGKILL
    wait_until(lambda: not is_alive(grandchild))


def test_one_that_ends_when_told_has_the_grace_time_for_it() -> None:
    script = "trap 'sleep 0.3; exit 5' TERM; echo up; while :; do sleep 0.05; done"
    with Child(["sh", "-c", script], stdout=subprocess.PIPE) as child:
        next(child.lines(child.stdout, PATIENCE_S))
        assert child.end(grace_s=PATIENCE_S) == 5
        assert child.end() == 5


def test_an_exception_in_the_block_ends_the_child() -> None:
    with pytest.raises(KeyError), Child(["sleep", "1000"]) as child:
        raise KeyError
    assert child.returncode == -signal.SIGTERM


def test_lines_that_do_not_come_are_not_waited_for() -> None:
    with Child(["sh", "-c", "echo one; sleep 1000"], stdout=subprocess.PIPE) as child:
        lines = child.lines(child.stdout, SHORT_S)
        assert next(lines) == "one\n"
        with pytest.raises(TimeoutError):
            next(lines)


def test_a_terminal_shows_what_was_said_and_takes_signals() -> None:
    script = "test -t 0 && echo asks; read answer"
    with open_on_terminal(["sh", "-c", script]) as terminal:
        assert "asks" in terminal.read_until("asks", PATIENCE_S)
        terminal.child.send_signal(signal.SIGTERM)
        terminal.read_all(PATIENCE_S)
        assert terminal.child.wait(PATIENCE_S) == -signal.SIGTERM


def fail_to_start(number: int) -> int | None:
    """Returns the grandchild that was left behind, where there was one."""
    match number % 4:
        case 0:
            with pytest.raises(FileNotFoundError):
                run_process(MISSING, limit_s=PATIENCE_S)
        case 1:
            with pytest.raises(FileNotFoundError), open_on_terminal(MISSING):
                pytest.fail("started")
        case 2:
            with open_on_terminal(["false"]) as terminal:
                assert terminal.child.wait(PATIENCE_S) == 1
        case _:
            with Child(LEAVES_GRANDCHILD, stdout=subprocess.PIPE) as child:
                return int(next(child.lines(child.stdout, PATIENCE_S)))
    return None


def test_a_thousand_failing_starts_leave_no_zombie_descriptor_terminal_or_grandchild() -> None:
    fail_to_start(0)
    before = open_descriptors(), children()
    left = [fail_to_start(number) for number in range(STARTS)]
    assert (open_descriptors(), children()) == before
    grandchildren = [pid for pid in left if pid is not None]
    assert len(grandchildren) == STARTS // 4
    wait_until(lambda: not any(is_alive(pid) for pid in grandchildren))
