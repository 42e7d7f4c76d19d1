"""What has been run already: one JSON file, good only for the code that it was made with."""

import json
from pathlib import Path
from typing import Any

from tests.faults.findings import Outcome

__all__ = ["Record"]


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
