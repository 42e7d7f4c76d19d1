"""`tezsign run` on a real kernel: a second signer, a restarted board, a pulled cable.

python -m tests.lab -- pytest -p no:cacheprovider tests/kernel/test_host_run.py
"""

import contextlib
import http.client
import json
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import trio

from broker.contract import INTERFACE_MANAGE
from host.discover import choose
from host.session import open_client
from tests.health_socket import wait_alerts
from tests.host.http_client import Answer, exchange, octez_post
from tests.kernel.board import PASSPHRASE, Board, open_board, open_signer, tezsign
from tests.payloads import attestation

PORT = 20090
LEVEL = 12_000_000
BACK_S = 5.0
DATA_BYTES = 4 << 20
# This runs beside another lab: a derivation may take twice as long as the one that was measured.
BUSY = 3
PATIENCE_S = 60.0


@pytest.fixture(scope="module")
def board(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Board]:
    """A board with one unlocked key, whose data partition is small."""
    folder = tmp_path_factory.mktemp("board")
    with mount_data(folder / "data") as data, open_board(folder, data) as board:
        board.start_gadget()
        tezsign("init", passphrase=PASSPHRASE)
        tezsign("new", "consensus", passphrase=PASSPHRASE)
        tezsign("unlock", passphrase=PASSPHRASE)
        yield board


@contextlib.contextmanager
def mount_data(folder: Path) -> Iterator[Path]:
    folder.mkdir()
    options = f"size={DATA_BYTES},mode=700"
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "data", folder], check=True)
    yield folder
    subprocess.run(["umount", folder], check=True)


@pytest.fixture
def credential(tmp_path: Path) -> Path:
    file = tmp_path / "passphrase"
    file.write_text(PASSPHRASE)
    file.chmod(0o600)
    return file


def address() -> str:
    (key,) = tezsign("status")
    return str(key["pkh"])


def lock_state() -> str:
    (key,) = tezsign("status")
    return str(key["lock_state"])


def post(pkh: str, level: int, port: int = PORT) -> Answer | None:
    return trio.run(exchange, port, [octez_post(pkh, attestation("tz4", level, 0), port)])


def sign_within(pkh: str, level: int, limit_s: float) -> tuple[str, float]:
    """Returns the signature, and how long it took until there was one."""
    start_s = time.monotonic()
    while True:
        answer = None
        with contextlib.suppress(OSError):
            answer = post(pkh, level)
        passed_s = time.monotonic() - start_s
        if answer is not None and answer.status == 200:
            return str(json.loads(answer.body)["signature"]), passed_s
        assert passed_s < limit_s, answer
        time.sleep(0.02)


async def time_derivation() -> float:
    """What the board itself takes for a passphrase, on a session that is up: seconds here, where it
    is emulated."""
    board = await trio.to_thread.run_sync(choose, None)
    async with open_client(board, INTERFACE_MANAGE) as client:
        start_s = trio.current_time()
        await client.unlock(PASSPHRASE.encode())
        return trio.current_time() - start_s


def read_page(path: str) -> tuple[int, bytes]:
    """Returns status and body of a page for monitoring."""
    connection = http.client.HTTPConnection("127.0.0.1", PORT + 1, timeout=PATIENCE_S)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def test_health_of_a_board_and_the_pages_of_a_run(board: Board) -> None:
    """The first one: what the others do to the board is in its report afterwards."""
    pkh = address()
    with open_signer(PORT, "--metrics", f"127.0.0.1:{PORT + 1}"):
        sign_within(pkh, LEVEL - 2, BACK_S)
        status, body = read_page("/statusz")
        assert (status, json.loads(body)["ready"]) == (200, True)
        assert b"tezsign_signatures_total 1" in read_page("/metrics")[1].splitlines()
        report = tezsign("health")
        assert (report["status"], report["alerts"]) == ("healthy", [])
        assert report["timestamp"] is not None
        latency = report["signing"]["latency"]
        assert latency["signature"]["count"] == latency["marks"]["count"] == 1
        queues = {queue["name"]: queue for queue in report["software_health"]["kernel_queues"]}
        assert set(queues) == {"usb 0 in", "usb 0 out", "usb 1 in", "usb 1 out", "marks"}
        assert queues["usb 0 out"]["in_flight"] == queues["usb 0 out"]["places"] == 2
        assert 1 <= queues["usb 0 in"]["in_flight_peak"] <= queues["usb 0 in"]["places"] == 8
        assert 1 <= queues["marks"]["in_flight_peak"] <= queues["marks"]["places"]
        with filled(board.data):
            report = wait_alerts(board.assets.run_folder / "health.sock", "disk_full", "disk_low")
            assert (report["status"], report["checks"]["disk_ok"]) == ("critical", False)
            sign_within(pkh, LEVEL - 1, BACK_S)  # marks have their place
    wait_alerts(board.assets.run_folder / "health.sock")


@contextlib.contextmanager
def filled(folder: Path) -> Iterator[None]:
    """The file system of the folder is full, to the last block."""
    filling = folder / "filling"
    with filling.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(4096))
    yield
    filling.unlink()


def test_second_run_is_told_that_the_board_is_busy_and_the_first_goes_on(board: Board) -> None:
    pkh = address()
    with open_signer(PORT):
        line = tezsign("run", "--listen", f"127.0.0.1:{PORT + 1}", expect=5, last_line=True)
        assert "in use by another tezsign" in line
        sign_within(pkh, LEVEL, BACK_S)


def test_keys_of_a_board_that_was_killed_are_unlocked_and_sign_again(
    board: Board, credential: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pkh = address()
    derivation_s = trio.run(time_derivation)
    with open_signer(PORT, "--passphrase-file", str(credential)):
        before, _ = sign_within(pkh, LEVEL + 10, BACK_S)
        for turn in range(2):
            board.end_gadget(signal.SIGKILL)
            board.start_gadget()
            limit_s = BUSY * (BACK_S + derivation_s)
            again, taken_s = sign_within(pkh, LEVEL + 10 + turn, limit_s)
            with capsys.disabled():
                print(f"signs {taken_s:.1f} s after ready, of which a key needs {derivation_s:.1f}")
            assert (turn > 0) or again == before


def test_keys_that_a_person_locks_stay_locked(board: Board, credential: Path) -> None:
    pkh = address()
    tezsign("unlock", passphrase=PASSPHRASE)
    with open_signer(PORT, "--passphrase-file", str(credential)):
        sign_within(pkh, LEVEL + 20, BACK_S)
        tezsign("lock")
        board.assets.detach()
        board.assets.attach()
        time.sleep(BACK_S)  # as long as an unlock would be allowed to take
        assert lock_state() == "locked"
        answer = post(pkh, LEVEL + 21)
        assert answer is not None
        assert answer.status == 403
    tezsign("unlock", passphrase=PASSPHRASE)


def test_board_that_was_unplugged_signs_within_seconds(
    board: Board, capsys: pytest.CaptureFixture[str]
) -> None:
    pkh = address()
    with open_signer(PORT):
        for turn in range(3):
            before, _ = sign_within(pkh, LEVEL + 30 + turn, BACK_S)
            board.assets.detach()
            board.assets.attach()
            after, taken_s = sign_within(pkh, LEVEL + 30 + turn, BACK_S)
            assert after == before
            with capsys.disabled():
                print(f"signs {taken_s:.2f} s after the cable is back")
