"""The command lines of docs/operations.md: what is typed, and what is to be seen then."""

import re
import shlex
from pathlib import Path
from typing import Final, NamedTuple

__all__ = ["COMMANDS", "TEXT", "Command"]

TEXT: Final = (Path(__file__).parents[2] / "docs/operations.md").read_text()
_LINE: Final = re.compile(r"^    (\S.*?)(?:\s+# see: (.*))?$", re.MULTILINE)


class Command(NamedTuple):
    words: list[str]
    sees: str

    def __str__(self) -> str:
        return " ".join(self.words)


COMMANDS: Final = [
    Command(words=shlex.split(line), sees=sees) for line, sees in _LINE.findall(TEXT)
]
