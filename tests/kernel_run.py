"""Runs test files of tests/kernel inside the lab, and fails with what they said."""

import sys
from pathlib import Path
from typing import Final

from tests.lab.api import run_in_lab

__all__ = ["run_kernel_tests"]

# A key derivation takes ten seconds where two machines emulate on two cores.
_TEST_TIMEOUT_S: Final = 400


def run_kernel_tests(
    *files: str,
    out: Path | None = None,
    disk: Path | None = None,
    timeout_s: float = 900,
    processors: int = 1,
) -> None:
    """One boot for all the files; their tests run in the order in which they are written."""
    pytest = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:randomly"]
    pytest += ["--timeout", str(_TEST_TIMEOUT_S)]
    words = [*pytest, *(f"tests/kernel/{file}" for file in files)]
    if out is not None:
        words = ["env", f"TEZSIGN_TEST_OUT={out}", *words]
    done = run_in_lab(words, out=out, disk=disk, timeout_s=timeout_s, processors=processors)
    print(done.stdout)
    assert done.returncode == 0, done.stdout + done.stderr
    assert " passed" in done.stdout
    assert "skipped" not in done.stdout
