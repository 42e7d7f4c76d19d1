"""Runs a plan: records, replays on all processors, adds up, and tells as it goes."""

import dataclasses
import multiprocessing
import os
import shutil
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from tests.crash.kept import Kept
from tests.crash.plan import Plan
from tests.crash.record import record
from tests.crash.recording import Recording
from tests.crash.replay import Share, Tally, replay

__all__ = ["Report", "describe", "find_violation", "replay_everywhere", "run_plan"]

_SHARES_OF_A_PROCESSOR: Final = 4


@dataclass(slots=True, kw_only=True)
class Report:
    """All recordings of a plan together. Two disks of two recordings are never the same one."""

    tally: Tally = field(default_factory=Tally)
    seconds: float = 0.0


def run_plan(plan: Plan, tell: Callable[[str], None], kept: Kept | None = None) -> Report:
    """Args: kept: what an earlier run has found already, and where this one notes it.

    Raises: RuntimeError: a recording could not be made.
    """
    report = Report()
    share = Share(samples=plan.samples, destruction=plan.destruction)
    for setup in plan.setups:
        known = None if kept is None else kept.load(setup, share)
        if known is not None:
            tell(f"{setup.name}: {len(known.digests)} distinct after repair, found before")
            report.tally += known
            continue
        recording = record(setup)
        started = time.monotonic()
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "recording"
            recording.save(path)
            tally = replay_everywhere(path, share)
            _keep_if_violated(path, recording, tally, tell)
        seconds = time.monotonic() - started
        if kept is not None:
            kept.keep(setup, share, tally)
        report.tally += tally
        report.seconds += seconds
        tell(f"{describe(recording, tally)}, {seconds:.0f} s")
    return report


def find_violation(name: str, recording: Recording) -> str | None:
    """Replays with a broken store. Returns: the first violation; None: the mutant goes unseen."""
    share = Share(samples=1, destruction=0.5, stops_at_once=True, mutant=name)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "recording"
        recording.save(path)
        return next(iter(replay_everywhere(path, share).violations), None)


def replay_everywhere(path: Path, share: Share) -> Tally:
    """Replays a saved recording on all processors."""
    processors = os.cpu_count() or 1
    parts = processors * _SHARES_OF_A_PROCESSOR
    total = Tally()
    context = multiprocessing.get_context("spawn")  # no lock of another thread is inherited
    with ProcessPoolExecutor(processors, mp_context=context) as pool:
        shares = (dataclasses.replace(share, part=part, parts=parts) for part in range(parts))
        for done in as_completed([pool.submit(_replay_file, path, one) for one in shares]):
            total += done.result()
    return total


def _replay_file(path: Path, share: Share) -> Tally:
    return replay(Recording.load(path), share)


def describe(recording: Recording, tally: Tally) -> str:
    images = sum(tally.images.values())
    return (
        f"{recording.name}: {len(recording.entries)} entries, {images} images,"
        f" {len(tally.digests)} distinct after repair, {tally.opened} stores judged,"
        f" {tally.destroyed} with files destroyed, {sum(tally.unrepaired.values())} not mounted,"
        f" {len(tally.violations)} violations"
    )


def _keep_if_violated(
    path: Path, recording: Recording, tally: Tally, tell: Callable[[str], None]
) -> None:
    if not tally.violations:
        return
    kept = Path(tempfile.gettempdir()) / f"crash-{recording.name}.rec"
    shutil.copy(path, kept)
    tell(f"violations; look again with: python -m tests.crash replay {kept}")
    for violation in tally.violations[:10]:
        tell(f"  {violation}")
