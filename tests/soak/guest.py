"""Inside the lab: a board, `tezsign run`, the load, and a sample of everything again and again.

    python -m tests.soak.guest OUT DURATION_S PERIOD_S UNPLUG_S [--leak NAME]…

Writes samples.jsonl and counts.json to OUT.
"""

import json
import sys
import tempfile
from pathlib import Path
from typing import Final

import trio

from tests.kernel.board import PASSPHRASE, Board, open_board, open_signer, tezsign
from tests.soak.load import Load
from tests.soak.sampler import Observed, sample
from tests.soak.series import HOST, Sample, encode_sample

__all__ = ["main"]

_PORT: Final = 20090
_KEY: Final = "consensus"
_SPARE: Final = "spare"
_DATA: Final = Path("/data/tezsign")
_LONGER_S: Final = 180.0
_OBSERVED: Final = (sys.executable, "-m", "tests.soak.observed")


def main(out: Path, duration_s: float, period_s: float, unplug_s: float, leaks: list[str]) -> None:
    with (
        tempfile.TemporaryDirectory() as folder,
        open_board(Path(folder), _DATA) as board,
    ):
        gadget_report, host_report = Path(folder) / "gadget", Path(folder) / "host"
        board.start_gadget([*_OBSERVED, str(gadget_report), *leaks, "gadget"])
        address = make_keys()
        command = [*_OBSERVED, str(host_report), "tezsign"]
        with open_signer(_PORT, _KEY, command=command) as signer:
            assert board.gadget is not None
            processes = (
                Observed(name="gadget", pid=board.gadget.pid, report=gadget_report),
                Observed(name="registrar", pid=board.registrar.process.pid),
                Observed(name=HOST, pid=signer.pid, report=host_report),
            )
            load = Load(
                port=_PORT,
                address=address,
                spare=_SPARE,
                passphrase=PASSPHRASE.encode(),
                unplug_period_s=unplug_s,
                manage_period_s=period_s,
            )
            try:
                trio.run(soak, load, processes, out, duration_s, period_s)
            finally:
                (out / "counts.json").write_text(json.dumps(load.counts))
                keep_logs(board, out)


def make_keys() -> str:
    """Returns the address that signs."""
    tezsign("init", passphrase=PASSPHRASE)
    tezsign("new", _KEY, _SPARE, passphrase=PASSPHRASE)
    tezsign("unlock", passphrase=PASSPHRASE)
    return next(str(key["pkh"]) for key in tezsign("status") if key["id"] == _KEY)


async def soak(
    load: Load,
    processes: tuple[Observed, ...],
    out: Path,
    duration_s: float,
    period_s: float,
) -> None:
    """Lasts longer than the duration where a busy machine has not done enough by then."""
    start_s = trio.current_time()
    # A line at a time to the host: a run that dies leaves what it saw.
    with (out / "samples.jsonl").open("w", buffering=1) as file:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(load.run)
            with trio.move_on_after(duration_s + _LONGER_S):
                at_s = 0.0
                while at_s < duration_s or not load.has_done_enough():
                    at_s = trio.current_time() - start_s
                    values = sample(processes, load.counts["signed"])
                    print(encode_sample(Sample(at_s=at_s, values=values)), file=file)
                    await trio.sleep(period_s)
            nursery.cancel_scope.cancel()


def keep_logs(board: Board, out: Path) -> None:
    (out / "gadget.log").write_text(board.gadget_log())
    (out / "registrar.log").write_text(board.registrar.log.read_text())


if __name__ == "__main__":
    out, *numbers = sys.argv[1:5]
    duration_s, period_s, unplug_s = map(float, numbers)
    main(Path(out), duration_s, period_s, unplug_s, sys.argv[5:])
