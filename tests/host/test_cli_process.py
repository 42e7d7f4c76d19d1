"""The command as a process: what it loads, terminals, pipes, signals, and `run` for a baker."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest

from host.settings import ENV_PASSPHRASE
from tests.host.fake_board import make_signer
from tests.process.terminal import TerminalChild, open_on_terminal
from tezos.keys import KeyType

PATIENCE_S = 20.0
ROOT = Path(__file__).parents[2]
FAKE = [sys.executable, "-m", "tests.host.fake_cable"]
HEAVY = ("trio", "usb", "cryptography", "pyblst", "starlette", "hypercorn", "rich", "asyncio")
ADDRESS = make_signer(KeyType.TZ4).public_key.address


def environment(fake: str = "one", **more: str) -> dict[str, str]:
    kept = {name: text for name, text in os.environ.items() if not name.startswith("TEZSIGN")}
    return kept | {"TEZSIGN_FAKE": fake, "COLUMNS": "100"} | more


def tezsign(*arguments: str, fake: str = "one", **more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*FAKE, *arguments],
        cwd=ROOT,
        env=environment(fake, **more),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )


class TestWhatIsLoaded:
    CODE = "import sys; from host.cli import main; main(sys.argv[1:]); print(*sys.modules)"

    def load(self, *arguments: str) -> set[str]:
        command = [sys.executable, "-c", self.CODE, *arguments]
        output = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
        return {name.split(".")[0] for name in output.stdout.splitlines()[-1].split()}

    def test_help_loads_nothing_heavy(self) -> None:
        loaded = self.load("--help")
        assert "click" in loaded
        assert not loaded & set(HEAVY)

    def test_a_usage_error_loads_nothing_heavy(self) -> None:
        assert not self.load("bogus") & set(HEAVY)

    def test_a_command_loads_no_http_server(self) -> None:
        assert not self.load("list", "--help") & {"starlette", "hypercorn", "rich", "pyblst"}

    def test_the_signer_loads_no_cryptography_unless_clients_must_sign(self) -> None:
        assert not self.load("run", "--help") & {"cryptography", "pyblst"}


@pytest.mark.parametrize(
    ("fake", "arguments", "status"),
    [
        ("one", ("list",), 0),
        ("one", ("--version",), 0),
        ("one", ("unlock",), 2),
        ("one", ("run", "nobody", "--listen", "127.0.0.1:0"), 4),
        ("several", ("run", "--listen", "127.0.0.1:0"), 2),
        ("none", ("list",), 3),
        ("several", ("list",), 2),
    ],
)
def test_exit_statuses(fake: str, arguments: tuple[str, ...], status: int) -> None:
    done = tezsign(*arguments, fake=fake)
    assert done.returncode == status, done
    assert "Traceback" not in done.stderr


def test_an_unknown_name_is_answered_with_the_known_ones() -> None:
    done = tezsign("run", "nobody", "--listen", "127.0.0.1:0")
    last = done.stderr.splitlines()[-1]
    assert last.startswith("tezsign: no key on the board is called nobody")
    assert "key0, key1" in last


def test_a_pipe_gets_json_and_a_passphrase_comes_over_standard_input() -> None:
    command = [*FAKE, "unlock", "--passphrase-file", "-"]
    done = subprocess.run(
        command, cwd=ROOT, env=environment(), input=b"secret\n", capture_output=True, check=True
    )
    assert [key["code"] for key in json.loads(done.stdout)] == [0, 0]


def test_a_terminal_gets_a_table() -> None:
    with open_on_terminal(
        [*FAKE, "status"], folder=ROOT, environment=environment(TERM="dumb")
    ) as terminal:
        shown = terminal.read_all(PATIENCE_S)
        assert terminal.child.wait(PATIENCE_S) == 0
    assert "preattestation" in shown
    assert "12000000/1" in shown
    assert "{" not in shown


def press_ctrl_c(terminal: TerminalChild) -> str:
    """Returns what is shown until the end. A signal between Python's last look for one and its read
    waits for the next key, and a person presses it again."""
    for _ in range(3):
        terminal.child.send_signal(signal.SIGINT)
        with suppress(TimeoutError):
            return terminal.read_all(PATIENCE_S)
    raise AssertionError("it does not end")


def test_ctrl_c_at_the_prompt_is_130() -> None:
    command = [*FAKE, "unlock"]
    with open_on_terminal(command, folder=ROOT, environment=environment()) as terminal:
        shown = terminal.read_until("Passphrase: ", PATIENCE_S)
        shown += press_ctrl_c(terminal)
        assert terminal.child.wait(PATIENCE_S) == 130
    assert "Traceback" not in shown


def test_a_reader_that_left_is_no_noise() -> None:
    with subprocess.Popen(
        [*FAKE, "status"],
        cwd=ROOT,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(10) == 1


class Signer:
    """A `tezsign run` that listens."""

    def __init__(self, process: "subprocess.Popen[str]", line: str) -> None:
        self.process = process
        self.line = line
        found = re.search(r"http://127\.0\.0\.1:(\d+)", line)
        assert found, line
        self.url = found[0]

    def get(self, path: str) -> tuple[int, bytes]:
        try:
            with urlopen(self.url + path, timeout=10) as answer:  # noqa: S310 - http, loopback
                return answer.status, answer.read()
        except HTTPError as error:
            with error:
                return error.code, error.read()

    def end(self, number: int) -> int:
        started_s = time.monotonic()
        self.process.send_signal(number)
        status = self.process.wait(10)
        assert time.monotonic() - started_s < 2
        return status


@contextmanager
def running(*arguments: str, fake: str = "one", wait_for: str = "listening") -> Iterator[Signer]:
    command = [*FAKE, "run", "--listen", "127.0.0.1:0", *arguments]
    with subprocess.Popen(
        command, cwd=ROOT, env=environment(fake), stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stderr is not None
            line = next(line for line in process.stderr if wait_for in line)
            yield Signer(process, line)
        finally:
            process.kill()


@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 0), (signal.SIGINT, 130)])
def test_run_serves_until_a_signal(number: int, status: int) -> None:
    with running("key0") as signer:
        assert f"keys=key0:{ADDRESS}" in signer.line
        assert signer.get("/known_keys") == (200, b'{"known_keys":["%s"]}' % ADDRESS.encode())
        idle = socket.create_connection(("127.0.0.1", int(signer.url.rpartition(":")[2])))
        with idle:
            assert signer.end(number) == status
        assert signer.process.stderr is not None
        rest = signer.process.stderr.read()
        assert "method=GET path=/known_keys status=200 ms=" in rest
        assert "Traceback" not in rest


def test_run_needs_authentication_where_keys_are_named() -> None:
    client = make_signer(KeyType.TZ1).public_key
    with running("--authorized-key", client.base58) as signer:
        answer = json.loads(signer.get("/authorized_keys")[1])
        assert answer == {"authorized_keys": [client.address]}


def test_run_waits_for_a_board_and_says_503_meanwhile() -> None:
    with running(fake="away", wait_for="serving") as signer:
        assert signer.get("/authorized_keys") == (200, b"{}")
        status, body = signer.get("/known_keys")
        assert status == 503
        assert b"no board is attached" in body
        assert signer.end(signal.SIGTERM) == 0


def test_an_address_in_use_is_said_in_one_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        done = tezsign("run", "--listen", f"127.0.0.1:{taken.getsockname()[1]}")
    assert done.returncode == 1
    assert done.stderr.startswith("tezsign: cannot listen on http://127.0.0.1:")
    assert done.stderr.count("\n") == 1


def test_a_damaged_witness_stops_the_start_in_one_line(state_folder: Path) -> None:
    file = state_folder / "tezsign" / "witness.json"
    file.parent.mkdir(parents=True)
    file.write_text("junk")
    done = tezsign("run", "--listen", "127.0.0.1:0")
    assert done.returncode == 1
    assert str(file) in done.stderr
    assert done.stderr.count("\n") == 1
    assert file.read_text() == "junk"


def test_run_says_ready_and_stopping_to_systemd(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(tmp_path / "notify"))
        systemd.settimeout(10)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        with running("key0") as signer:
            assert systemd.recv(1000).startswith(b"READY=1\nSTATUS=serving board")
            assert systemd.recv(1000).startswith(b"WATCHDOG=1\n")
            assert signer.end(signal.SIGTERM) == 0
        assert systemd.recv(1000) == b"STOPPING=1"


def test_the_passphrase_is_not_in_an_error() -> None:
    done = tezsign("unlock", fake="none", **{ENV_PASSPHRASE: "hunter2"})
    assert done.returncode == 3
    assert "hunter2" not in done.stderr + done.stdout
