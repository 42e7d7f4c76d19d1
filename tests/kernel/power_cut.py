"""Two halves of a power cut, in the lab on `--disk`: sign and fall dead; start again and look.

`python -m tests.kernel.power_cut sign COMMAND…` runs the gadget by that command and ends with the
machine; `… look` prints whether the mark is there. The outer test is tests/test_power_cut.py.
"""

import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Final

import trio

from broker.contract import INTERFACE_SIGN
from host.discover import choose
from host.session import open_client
from tests.kernel.board import PASSPHRASE, Board, open_board, tezsign
from tests.payloads import attestation

__all__ = ["LEVEL"]

LEVEL: Final = 5000
_DATA: Final = Path("/data/tezsign")


def sign_and_fall_dead(board: Board, command: list[str]) -> None:
    """Never returns. Nothing between the last answer and the cut writes to the disk."""
    board.start_gadget(command)
    tezsign("init", passphrase=PASSPHRASE)
    tezsign("new", "consensus", passphrase=PASSPHRASE)
    tezsign("unlock", passphrase=PASSPHRASE)
    trio.run(sign_twenty_levels)
    marker = os.open(Path(os.environ["TEZSIGN_TEST_OUT"]) / "answered", os.O_CREAT | os.O_WRONLY)
    os.fsync(marker)
    Path("/proc/sysrq-trigger").write_text("b")


async def sign_twenty_levels() -> None:
    async with open_client(choose(None), INTERFACE_SIGN) as client:
        (key,) = await client.status()
        for level in range(LEVEL - 19, LEVEL + 1):
            await client.sign(key.pkh, attestation("tz4", level, 0))


def look(board: Board) -> None:
    board.start_gadget()
    tezsign("unlock", passphrase=PASSPHRASE)
    (key,) = tezsign("status")
    print(json.dumps(key["marks"]["attestation"]))


def main() -> None:
    with (
        tempfile.TemporaryDirectory() as folder,
        open_board(Path(folder), _DATA) as board,
    ):
        if sys.argv[1] == "sign":
            sign_and_fall_dead(board, sys.argv[2:])
        else:
            look(board)


if __name__ == "__main__":
    main()
