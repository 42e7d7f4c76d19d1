"""docs/faults.md names tests that exist."""

import re
from pathlib import Path

TESTS = Path(__file__).resolve().parent
FAULTS = TESTS.parent / "docs/faults.md"


def test_every_test_that_is_named_exists() -> None:
    named = set(re.findall(r"`((?:test|check)_\w+)`", FAULTS.read_text())) - {"test_faults"}
    source = "\n".join(path.read_text() for path in TESTS.rglob("*.py"))
    defined = set(re.findall(r"def ((?:test|check)_\w+)", source))
    assert named
    assert not named - defined
