"""What health costs: pairs of runs, one with it and one without, in the lab.

python -m tests.lab --count-instructions --disk FILE -- python -m tests.bench.health_cost

By counted instructions the pairs differ by what the code does and by nothing else. With it, the
daemon looks at itself each second, sixty times as often as it does on a board. Without it, nothing
is counted on the path of a signature either, and of the memory the modules themselves are
subtracted: what importing them adds to all that the daemon imports besides.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import trio

from broker.contract import INTERFACE_SIGN
from host.discover import choose
from host.session import open_client
from tests.bench.guest import read_resident_kb, time_async_ms
from tests.kernel.board import PASSPHRASE, open_board, tezsign
from tests.payloads import attestation

__all__ = ["main"]

_PAIRS: Final = 4
_WARM_UP: Final = 50
_SIGNATURES: Final = 500
_DATA: Final = Path("/data/tezsign")
_COMMANDS: Final[Mapping[str, tuple[str, ...]]] = {
    "with": (sys.executable, "-m", "gadget"),
    "without": (sys.executable, "-m", "tests.bench.unmetered_gadget"),
}
_SETTINGS: Final = {
    "with": "[software_health]\nhealth_check_interval = 1\n",
    "without": "[software_health]\nenabled = false\n",
}
# What the daemon imports besides, and then what is only health's.
_IMPORTS: Final = """
import re, sys
from pathlib import Path
import gadget.keychain.keyring, gadget.logs, gadget.revival, json, logging, pwd, socket, trio

def anonymous_kb():
    return int(re.search(r"RssAnon:\\s+(\\d+)", Path("/proc/self/status").read_text())[1])

before_kb = anonymous_kb()
import gadget.daemon, gadget.health.kit
print(anonymous_kb() - before_kb)
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Run:
    """`look_ms`: processor time of one look, where there are any."""

    p50_ms: float
    mean_ms: float
    resident_kb: int
    look_ms: float


def main() -> None:
    runs: dict[str, list[_Run]] = {kind: [] for kind in _COMMANDS}
    level = 0
    with tempfile.TemporaryDirectory() as folder:
        for number in range(_PAIRS):
            # Whoever comes second finds warm caches: that is each of them in turn.
            for kind in sorted(_COMMANDS, reverse=number % 2 == 0):
                place = Path(folder) / f"{number}-{kind}"
                place.mkdir()
                level += 1000
                runs[kind].append(_measure(place, kind, level))
                print(f"pair {number + 1} of {_PAIRS}, {kind}: {runs[kind][-1]}", flush=True)
    _print_table(runs)


def _measure(folder: Path, kind: str, first_level: int) -> _Run:
    _DATA.mkdir(mode=0o700, parents=True, exist_ok=True)
    (_DATA / "tezsign.toml").write_text(_SETTINGS[kind])
    with open_board(folder, _DATA) as board:
        board.start_gadget(_COMMANDS[kind])
        if not tezsign("status"):
            tezsign("init", passphrase=PASSPHRASE)
            tezsign("new", "consensus", passphrase=PASSPHRASE)
        tezsign("unlock", passphrase=PASSPHRASE)
        times_ms = trio.run(_sign, first_level)
        assert board.gadget is not None
        run = _Run(
            p50_ms=statistics.median(times_ms),
            mean_ms=statistics.fmean(times_ms),
            resident_kb=read_resident_kb(board.gadget.pid),
            look_ms=_look_ms() if kind == "with" else 0.0,
        )
        board.end_gadget()  # a kill would be in the next run's report
        return run


async def _sign(first_level: int) -> list[float]:
    async with open_client(choose(None), INTERFACE_SIGN) as client:
        (key,) = await client.status()
        levels = iter(range(first_level, first_level + 999))

        async def sign() -> None:
            await client.sign(key.pkh, attestation("tz4", next(levels), 0))

        times_ms = [await time_async_ms(sign) for _ in range(_WARM_UP + _SIGNATURES)]
    return times_ms[_WARM_UP:]


def _look_ms() -> float:
    """Of all looks since the start: there is one a second."""
    report = tezsign("health")
    (health,) = (task for task in report["software_health"]["tasks"] if task["name"] == "health")
    return float(health["cpu_seconds"] / report["uptime_seconds"] * 1000)


def _import_kb() -> int:
    environment = os.environ | {"PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        [sys.executable, "-c", _IMPORTS],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
        timeout=300,
    )
    return int(json.loads(done.stdout))


def _print_table(runs: Mapping[str, list[_Run]]) -> None:
    print("\n| figure | with | without | difference |\n|---|---|---|---|")
    for name, field, unit in (("sign p50", "p50_ms", "ms"), ("sign mean", "mean_ms", "ms")):
        one, other = (statistics.median(getattr(r, field) for r in runs[k]) for k in _COMMANDS)
        print(f"| {name}, {unit} | {one:.3f} | {other:.3f} | {(one / other - 1) * 100:+.2f} % |")
    one, other = (statistics.median(r.resident_kb for r in runs[kind]) / 1024 for kind in _COMMANDS)
    print(f"| resident, MB | {one:.2f} | {other:.2f} | {one - other:+.2f} MB |")
    print(f"| its modules, imported last, MB | {_import_kb() / 1024:.2f} | | |")
    print(f"| a look, ms | {statistics.median(r.look_ms for r in runs['with']):.2f} | | |")


if __name__ == "__main__":
    main()
