"""Boots the lab with a virtual board and forwards the ports of the guest's signer, and of its
pages for monitoring, to this machine."""

import os
import sys
from pathlib import Path

from tests.demo.guest import METRICS_PORT, PORT

__all__ = ["main"]


def main() -> None:
    """Becomes the lab: Ctrl-C then reaches it, and it ends the guest."""
    print("== booting a virtual board on a real kernel (the first time: downloads)", flush=True)
    os.chdir(Path(__file__).resolve().parent.parent.parent)
    lab = [sys.executable, "-m", "tests.lab", "--gadget", "--timeout", "86400"]
    for port in (PORT, METRICS_PORT):
        lab += ["--forward", f"{port}:{port}"]
    os.execv(sys.executable, [*lab, "--", sys.executable, "-m", "tests.demo.guest"])  # noqa: S606


if __name__ == "__main__":
    main()
