"""A baker's day on a real kernel: keys by the `tezsign` command, signatures over HTTP in octez's
form.

Needs the lab's `--disk` (the marks lie on a real ext4) and `--out` (what was signed is left there,
so that the outer test checks it with libraries that are not ours). The tests build on each other.
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest
import trio

from broker.codes import ErrorCode
from broker.contract import INTERFACE_SIGN
from host.discover import choose
from host.errors import Refused
from host.session import open_client
from tests.host.http_client import Answer, exchange, octez_get, octez_post
from tests.kernel.board import PASSPHRASE, Board, open_board, open_signer, tezsign
from tests.kernel.mutants import MUTANTS
from tests.payloads import attestation, block, preattestation

TYPES: Final = ("tz1", "tz2", "tz3", "tz4")
PORT: Final = 20090
LEVEL: Final = 12_000_000
OTHER_HASH: Final = b"\x55" * 32
DATA: Final = Path("/data/tezsign")
DISK: Final = Path("/sys/block/vda")
DRIVER: Final = Path("/sys/bus/virtio/drivers/virtio_blk")


@dataclass(frozen=True, kw_only=True)
class Baker:
    board: Board
    keys: dict[str, dict[str, Any]]

    def address(self, key_type: str = "tz4") -> str:
        return str(self.keys[key_type]["pkh"])


@pytest.fixture(scope="module")
def baker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Baker]:
    """A board with one unlocked key of each type."""
    with open_board(tmp_path_factory.mktemp("board"), DATA) as board:
        board.start_gadget()
        tezsign("init", passphrase=PASSPHRASE)
        for key_type in TYPES:
            tezsign("new", key_type, "--type", key_type, passphrase=PASSPHRASE)
        tezsign("unlock", passphrase=PASSPHRASE)
        yield Baker(board=board, keys={key["id"]: key for key in tezsign("status")})


def get(path: str) -> Answer:
    answer = trio.run(exchange, PORT, [octez_get(path, PORT)])
    assert answer is not None
    return answer


def post(address: str, payload: bytes) -> Answer:
    answer = trio.run(exchange, PORT, [octez_post(address, payload, PORT)])
    assert answer is not None
    return answer


def sign(address: str, payload: bytes) -> str:
    answer = post(address, payload)
    assert answer.status == 200, answer
    body = json.loads(answer.body)
    assert list(body) == ["signature"]
    return str(body["signature"])


def refuse(address: str, payload: bytes, status: int) -> None:
    answer = post(address, payload)
    assert answer.status == status, answer
    (trace,) = json.loads(answer.body)
    assert trace["id"] == "failure"


@contextmanager
def open_stranger() -> Iterator[None]:
    """The signer of a host that has seen nothing yet: its witness knows of no signature."""
    with (
        tempfile.TemporaryDirectory() as folder,
        open_signer(PORT, "--witness-file", str(Path(folder) / "seen.json")),
    ):
        yield


async def check_promises(address: str, level: int) -> None:
    """What no mutant may get through: fails unless the board itself is as strict as it has to be.

    Asks the board, not a signer, whose witness would refuse a part of it before the board is asked.
    """
    payload = attestation("tz4", level, 0)
    async with open_client(choose(None), INTERFACE_SIGN) as client:

        async def refuse_here(payload: bytes, code: ErrorCode) -> None:
            code_found = None
            try:
                await client.sign(address, payload)
            except Refused as refusal:
                code_found = refusal.code
            assert code_found == code  # None: the board has signed

        signature = await client.sign(address, payload)
        assert await client.sign(address, payload) == signature
        other = attestation("tz4", level, 0, payload_hash=OTHER_HASH)
        await refuse_here(other, ErrorCode.STALE_WATERMARK)
        await refuse_here(attestation("tz4", level - 1, 5), ErrorCode.STALE_WATERMARK)
        await refuse_here(attestation("tz1", level + 1, 0), ErrorCode.BAD_PAYLOAD)


def test_every_key_type_signs_all_three_kinds(baker: Baker) -> None:
    signed = []
    with open_signer(PORT, *TYPES):
        known = json.loads(get("/known_keys").body)
        assert known == {"known_keys": [baker.address(key_type) for key_type in TYPES]}
        assert json.loads(get("/authorized_keys").body) == {}
        for key_type in TYPES:
            address = baker.address(key_type)
            public_key = json.loads(get(f"/keys/{address}").body)
            assert public_key == {"public_key": baker.keys[key_type]["public_key"]}
            for payload in (
                block(LEVEL, 1),
                preattestation(key_type, LEVEL, 1),
                attestation(key_type, LEVEL, 1),
            ):
                signature = sign(address, payload)
                assert sign(address, payload) == signature
                signed.append(
                    {
                        "public_key": baker.keys[key_type]["public_key"],
                        "payload": payload.hex(),
                        "signature": signature,
                    }
                )
        proof = json.loads(get(f"/bls_prove_possession/{baker.address()}").body)
    assert proof == {"bls_prove_possession": baker.keys["tz4"]["proof_of_possession"]}
    record = {"signed": signed, "proof": proof["bls_prove_possession"]}
    (Path(os.environ["TEZSIGN_TEST_OUT"]) / "signed.json").write_text(json.dumps(record))


def test_another_payload_at_that_level_is_refused(baker: Baker) -> None:
    trio.run(check_promises, baker.address(), LEVEL + 1)
    with open_signer(PORT):
        refuse(baker.address(), attestation("tz4", LEVEL, 1), 409)
        refuse(baker.address(), attestation("tz4", LEVEL + 2, 0, chain_id=b"abcd"), 409)
        refuse(baker.address(), attestation("tz4", LEVEL + 300_000, 0), 409)


def test_marks_survive_a_killed_daemon_and_the_same_bytes_get_the_same_signature(
    baker: Baker,
) -> None:
    payload = attestation("tz4", LEVEL + 10, 0)
    with open_signer(PORT):
        signature = sign(baker.address(), payload)
        baker.board.end_gadget(signal.SIGKILL)
        baker.board.start_gadget()
        refuse(baker.address(), payload, 403)
        tezsign("unlock", passphrase=PASSPHRASE)
        (key,) = [key for key in tezsign("status") if key["id"] == "tz4"]
        assert key["marks"]["attestation"] == {"level": LEVEL + 10, "round": 0}
        assert sign(baker.address(), payload) == signature
        refuse(baker.address(), attestation("tz4", LEVEL + 10, 0, payload_hash=OTHER_HASH), 409)


def test_the_journal_of_the_board_can_be_read_from_the_host(baker: Baker) -> None:
    lines = tezsign("logs", "--lines", "200")
    assert any(baker.address() in line and "key unlocked" in line for line in lines)
    assert PASSPHRASE not in baker.board.gadget_log()


@pytest.mark.parametrize("mutant", ["marks-off", "payload-unchecked"])
def test_a_mutant_is_caught(baker: Baker, mutant: str) -> None:
    level = LEVEL + 100 + 10 * sorted(MUTANTS).index(mutant)
    restart(baker, sys.executable, "-m", "tests.kernel.mutants", mutant)
    with pytest.raises(AssertionError):
        trio.run(check_promises, baker.address(), level)


def test_no_signature_leaves_a_board_whose_disk_has_died(baker: Baker) -> None:
    restart(baker, "tezsign-gadget")
    payload = attestation("tz4", LEVEL + 200, 0)
    with open_stranger():
        check_dead_disk_gives_no_signature(baker, payload)
    revive_disk(baker)
    # Nothing was released, so nothing is used up; and what was released before still counts.
    restart(baker, "tezsign-gadget")
    with open_stranger():
        sign(baker.address(), attestation("tz4", LEVEL + 200, 0, payload_hash=OTHER_HASH))
        refuse(baker.address(), attestation("tz4", LEVEL + 10, 1), 409)


def test_a_daemon_that_does_not_wait_for_the_disk_is_caught(baker: Baker) -> None:
    restart(baker, sys.executable, "-m", "tests.kernel.mutants", "write-not-awaited")
    with open_stranger(), pytest.raises(AssertionError):
        check_dead_disk_gives_no_signature(baker, attestation("tz4", LEVEL + 201, 0))
    revive_disk(baker)


def restart(baker: Baker, *command: str) -> None:
    if baker.board.gadget is not None:
        baker.board.end_gadget()
    baker.board.start_gadget(command)
    tezsign("unlock", passphrase=PASSPHRASE)


def check_dead_disk_gives_no_signature(baker: Baker, payload: bytes) -> None:
    (DRIVER / "unbind").write_text(disk_name())
    refuse(baker.address(), payload, 500)
    refuse(baker.address(), payload, 500)


def revive_disk(baker: Baker) -> None:
    """The disk comes back, and its file system is repaired as a boot would."""
    baker.board.end_gadget(signal.SIGKILL)
    subprocess.run(["umount", "/data"], check=True)
    (DRIVER / "bind").write_text(NAMES["disk"])
    subprocess.run(["e2fsck", "-p", "/dev/vda"], check=False)
    subprocess.run(["mount", "-t", "ext4", "/dev/vda", "/data"], check=True)


NAMES: Final[dict[str, str]] = {}


def disk_name() -> str:
    """The virtio name of the disk, remembered for when it is away."""
    NAMES["disk"] = (DISK / "device").resolve().name
    return NAMES["disk"]
