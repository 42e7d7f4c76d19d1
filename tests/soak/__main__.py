"""python -m tests.soak: boots the lab, lets the load run, and judges. See arguments.py."""

import json
import sys
import tempfile
from pathlib import Path
from typing import Final

from tests.lab.api import COUNTED_PATIENCE, lab_command
from tests.lab.plan import PROJECT
from tests.process.child import Child
from tests.soak.arguments import Arguments, parse_arguments
from tests.soak.plot import draw
from tests.soak.report import encode_record, tell
from tests.soak.series import decode_run
from tests.soak.verdict import Verdict, judge, overall, warm_up_of

__all__ = ["main"]

# Booting, making keys, and taking the board apart, on a machine that is busy with other things.
_AROUND_S: Final = 600.0


def main(words: list[str]) -> int:
    arguments = parse_arguments(words)
    arguments.out.mkdir(parents=True, exist_ok=True)
    status = run_load(arguments)
    return status if status != 0 else judge_run(arguments)


def run_load(arguments: Arguments) -> int:
    """Returns the exit status of the lab. A fresh disk lets the marks lie on a real file system."""
    numbers = (arguments.duration_s, arguments.period_s, arguments.unplug_s)
    leaks = [word for leak in arguments.leaks for word in ("--leak", leak)]
    command = [sys.executable, "-m", "tests.soak.guest", str(arguments.out)]
    patience = COUNTED_PATIENCE if arguments.count_instructions else 1
    with tempfile.TemporaryDirectory() as folder:
        lab = lab_command(
            [*command, *map(str, numbers), *leaks],
            out=arguments.out,
            disk=Path(folder) / "data.img",
            timeout_s=(arguments.duration_s + _AROUND_S) * patience,
            count_instructions=arguments.count_instructions,
        )
        with Child(lab, folder=PROJECT) as running:
            return running.wait()


def judge_run(arguments: Arguments) -> int:
    """Prints the verdict, keeps record and picture."""
    out = arguments.out
    run = decode_run((out / "samples.jsonl").read_text(), (out / "counts.json").read_text())
    warm_up_s = warm_up_of(run.length_s)
    findings = judge(run, warm_up_s)
    verdict = overall(findings)
    record = encode_record(findings, run.length_s, warm_up_s)
    (out / "record.json").write_text(json.dumps(record, indent=1))
    title = f"soak of {run.length_s:.0f} s: {verdict}"
    draw(run, warm_up_s, title, out / "plot.png")
    for line in tell(findings, warm_up_s, show_all=arguments.show_all):
        print(line)
    print(f"record, samples, logs and plot: {out}")
    return 1 if verdict is Verdict.FAILED else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
