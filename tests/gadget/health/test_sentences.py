"""Rules that count log lines count sentences that somebody logs, at a level that is counted."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from gadget.health import collector, rules, storage_rules

ROOT = Path(__file__).parents[3]
LEVELS = {"warning", "error", "exception", "critical", "log"}


def logged() -> Iterator[str]:
    """The sentences of all log calls of the daemon."""
    for folder in ("gadget", "broker", "tezos"):
        for file in (ROOT / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(file.read_text())):
                if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
                    continue
                if ast.unparse(node.func.value) == "logger" and node.func.attr in LEVELS:
                    yield from (
                        argument.value
                        for argument in node.args
                        if isinstance(argument, ast.Constant) and isinstance(argument.value, str)
                    )


@pytest.mark.parametrize(
    "sentence",
    [
        rules._PART_FAILED,
        rules._HANDLER_FAILED,
        rules._DROPPED,
        rules._WEDGED,
        storage_rules._NOT_RECORDED,
        collector._MARKS_REPLACED,
    ],
)
def test_the_sentence_is_logged(sentence: str) -> None:
    assert sentence in set(logged())
