"""What has been run already: one JSON file, good only for the code that it was made with."""

import hashlib
import json
from pathlib import Path
from typing import Any, Final

from tests.faults.findings import Outcome

__all__ = ["Record", "fingerprint"]

_PROJECT: Final = Path(__file__).resolve().parents[2]
_PACKAGES: Final = ("tezos", "broker", "registrar", "gadget", "host", "builder", "tests")


def fingerprint(project: Path = _PROJECT) -> str:
    """A digest of all code that a scenario runs, and of the scenarios."""
    digest = hashlib.sha256()
    for package in _PACKAGES:
        for path in sorted((project / package).rglob("*")):
            if path.is_file() and path.suffix != ".pyc":
                name = str(path.relative_to(project)).encode()
                content = hashlib.sha256(path.read_bytes()).digest()
                digest.update(len(name).to_bytes(4, "big") + name + content)
    return digest.hexdigest()


class Record:
    """The outcomes of one form ("full" or "quick") of the scenarios, kept after each one."""

    def __init__(self, path: Path, *, form: str, code: str) -> None:
        """Takes over what the file holds of the same form and code; anything else is forgotten."""
        self._path = path
        self._identity = {"form": form, "code": code}
        self.outcomes: dict[str, Outcome] = {}
        if path.exists():
            self._load(json.loads(path.read_text()))

    def _load(self, content: dict[str, Any]) -> None:
        if {name: content.get(name) for name in self._identity} != self._identity:
            return
        for number, fields in content["outcomes"].items():
            outcome = Outcome.from_json(json.dumps(fields))
            if outcome.passed:  # one that failed is run again
                self.outcomes[number] = outcome

    def keep(self, number: str, outcome: Outcome) -> None:
        """On disk when this returns."""
        self.outcomes[number] = outcome
        outcomes = {each: json.loads(done.to_json()) for each, done in self.outcomes.items()}
        self._path.parent.mkdir(parents=True, exist_ok=True)
        draft = self._path.with_suffix(".new")
        draft.write_text(json.dumps(self._identity | {"outcomes": outcomes}, indent=1) + "\n")
        draft.replace(self._path)
