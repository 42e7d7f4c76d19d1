"""What a long run has found so far, one file for each recording, so that it may be interrupted.

Good only for the code that it was made with. Nothing with a violation is kept: it is tried again.
"""

import json
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from tests.crash.crash_images import Damage
from tests.crash.record import Setup
from tests.crash.replay import Share, Tally
from tests.fingerprint import fingerprint

__all__ = ["CODE", "Kept"]

# All that writes and reads a store, and what tries it.
CODE: Final = ("tezos", "gadget/keychain", "gadget/aio.py", "gadget/uring.py", "tests/crash")


class Kept:
    """In a folder, which is made with the first result."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._code = fingerprint(CODE)

    def load(self, setup: Setup, share: Share) -> Tally | None:
        """Returns what was found, by the same code and as closely looked at; None: nothing yet."""
        path = self._path(setup)
        if not path.exists():
            return None
        content: dict[str, Any] = json.loads(path.read_text())
        if content["identity"] != self._identity(setup, share):
            return None
        return Tally(
            images=_read(content["images"]),
            digests={bytes.fromhex(digest) for digest in content["digests"]},
            opened=content["opened"],
            destroyed=content["destroyed"],
            unrepaired=_read(content["unrepaired"]),
        )

    def keep(self, setup: Setup, share: Share, tally: Tally) -> None:
        if tally.violations:
            return
        content = {
            "identity": self._identity(setup, share),
            "images": tally.images,
            "unrepaired": tally.unrepaired,
            "opened": tally.opened,
            "destroyed": tally.destroyed,
            "digests": sorted(digest.hex() for digest in tally.digests),
        }
        path = self._path(setup)
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_suffix(".new")
        draft.write_text(json.dumps(content))
        draft.replace(path)

    def _path(self, setup: Setup) -> Path:
        return self._folder / f"{setup.name}.json"

    def _identity(self, setup: Setup, share: Share) -> dict[str, Any]:
        return {"code": self._code, "setup": asdict(setup), "share": asdict(share)}


def _read(counts: dict[str, int]) -> Counter[Damage]:
    return Counter({Damage(damage): count for damage, count in counts.items()})
