"""Runs the engine on one target, and says what came of it; keeps what is worth keeping.

What a run has found is in build/fuzz: inputs that reached something new, and findings.
"""

import hashlib
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from tests.fuzz.targets import CORPUS, TARGETS, kept_inputs, load_target
from tests.process.run import run_process

__all__ = ["Report", "fuzz", "keep"]

_BUILD: Final = Path("build/fuzz")
_TIMEOUT_S: Final = 5
_RSS_LIMIT_MB: Final = 512
_RUN_LIMIT_S: Final = 3600.0
_TOLD_CHARACTERS: Final = 3000


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """`edges`: of the target's bytecode, as libFuzzer counts them. `said`: the engine's last lines.

    `finding`: the file with the input that broke the invariant; None: there is none.
    """

    target: str
    inputs: int
    per_second: int
    edges: int
    peak_mb: int
    finding: Path | None
    said: str


def fuzz(name: str, runs: int, folder: Path | None = None) -> Report:
    """Runs until `runs` inputs were tried or one is a finding.

    Args:
        folder: the project's root; None: the one that we run in.

    Raises:
        RuntimeError: the engine failed by itself.
    """
    build = (folder or Path()) / _BUILD
    work, found = (build / kind / name for kind in ("corpus", "found"))
    for each in (work, found):
        shutil.rmtree(each, ignore_errors=True)
        each.mkdir(parents=True)
    for number, data in enumerate(kept_inputs(name)):
        (work / str(number)).write_bytes(data)
    flags = (f"-runs={runs}", "-print_final_stats=1", f"-artifact_prefix={found.resolve()}/")
    done = _run_engine(name, *flags, str(work.resolve()), folder=folder)
    finding = next(found.iterdir(), None)
    if finding is None and done.returncode != 0:
        raise RuntimeError(
            f"{name}: the engine ended with {done.returncode}: {done.stderr[-_TOLD_CHARACTERS:]}"
        )
    return Report(
        target=name,
        inputs=_stat(done.stderr, r"stat::number_of_executed_units: +(\d+)"),
        per_second=_stat(done.stderr, r"stat::average_exec_per_sec: +(\d+)"),
        edges=_stat(done.stderr, r"cov: (\d+)"),
        peak_mb=_stat(done.stderr, r"stat::peak_rss_mb: +(\d+)"),
        finding=finding,
        said=done.stderr[-_TOLD_CHARACTERS:],
    )


def keep(name: str) -> None:
    """Makes the kept corpus anew: the fewest inputs that reach what the seeds do not."""
    kept, work = CORPUS / name, _BUILD / "corpus" / name
    for each in (kept, work):
        each.mkdir(parents=True, exist_ok=True)
    seeds = list(load_target(name).seeds())
    with TemporaryDirectory() as folder:
        for number, data in enumerate(seeds):
            Path(folder, str(number)).write_bytes(data)
        _run_engine(name, "-set_cover_merge=1", folder, str(kept), str(work))
        inputs = [path.read_bytes() for path in Path(folder).iterdir()]
    shutil.rmtree(kept)
    kept.mkdir()
    for data in inputs:
        if data not in seeds:
            (kept / hashlib.sha256(data).hexdigest()[:16]).write_bytes(data)


def _run_engine(
    name: str, *arguments: str, folder: Path | None = None
) -> "subprocess.CompletedProcess[str]":
    limits = (
        f"-timeout={_TIMEOUT_S}",
        f"-rss_limit_mb={_RSS_LIMIT_MB}",
        f"-max_len={TARGETS[name]}",
    )
    command = (sys.executable, "-m", "tests.fuzz.engine", name, *limits, *arguments)
    return run_process(command, limit_s=_RUN_LIMIT_S, folder=folder)


def _stat(text: str, pattern: str) -> int:
    """Returns the last number that was told; 0: none was."""
    return int((re.findall(pattern, text) or ["0"])[-1])
