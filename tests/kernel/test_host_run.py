"""`tezsign run` on a real kernel: a second signer, a restarted board, a pulled cable.

python -m tests.lab -- pytest -p no:cacheprovider tests/kernel/test_host_run.py
"""

import contextlib
import json
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import trio

from broker.contract import INTERFACE_MANAGE
from host.discover import choose
from host.session import open_client
from tests.host.http_client import Answer, exchange, octez_post
from tests.kernel.board import PASSPHRASE, Board, open_board, open_signer, tezsign
from tests.payloads import attestation

PORT = 20090
LEVEL = 12_000_000
BACK_S = 5.0
# This runs beside another lab: a derivation may take twice as long as the one that was measured.
BUSY = 3
PATIENCE_S = 60.0


@pytest.fixture(scope="module")
def board(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Board]:
    """A board with one unlocked key."""
    folder = tmp_path_factory.mktemp("board")
    with open_board(folder, folder / "data") as board:
        board.start_gadget()
        tezsign("init", passphrase=PASSPHRASE)
        tezsign("new", "consensus", passphrase=PASSPHRASE)
        tezsign("unlock", passphrase=PASSPHRASE)
        yield board


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
