"""Boots the lab with a virtual board and forwards the signer's port of the guest to this
machine."""

import os
import sys
from pathlib import Path

from tests.demo.guest import PORT

__all__ = ["main"]


def main() -> None:
    """Becomes the lab: Ctrl-C then reaches it, and it ends the guest."""
    print("== booting a virtual board on a real kernel (the first time: downloads)", flush=True)
    os.chdir(Path(__file__).resolve().parent.parent.parent)
    lab = [sys.executable, "-m", "tests.lab", "--gadget", "--timeout", "86400"]
    forward = ["--forward", f"{PORT}:{PORT}", "--"]
    os.execv(sys.executable, [*lab, *forward, sys.executable, "-m", "tests.demo.guest"])  # noqa: S606


if __name__ == "__main__":
    main()
