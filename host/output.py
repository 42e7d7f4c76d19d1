"""What the commands print: tables for a terminal, JSON for programs. Nothing else writes to
standard output.

Owns both forms of a key's status. Loads `rich` only when a table is drawn. Called by the commands.
"""

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple

from broker.messages import KeyOutcome, KeyStatus, MarksStatus, MarkStatus

__all__ = [
    "JsonValue",
    "StyledLine",
    "clear_screen",
    "describe_key",
    "describe_outcome",
    "is_terminal",
    "mark_cell",
    "printable",
    "show_json",
    "show_styled",
    "show_table",
    "show_text",
]

_LAST_ROUND: Final = 2**31 - 1  # of a level that was set: all of it is used up

JsonValue = str | int | float | None | Sequence["JsonValue"] | Mapping[str, "JsonValue"]


class StyledLine(NamedTuple):
    """`style` as rich has it, "" for none."""

    text: str
    style: str = ""


def is_terminal() -> bool:
    return sys.stdout.isatty()


def show_json(value: JsonValue) -> None:
    show_text(json.dumps(value, indent=2))


def show_text(text: str) -> None:
    sys.stdout.write(text + "\n")


def show_table(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    from rich import box  # noqa: PLC0415 - slow to load, and programs never see a table
    from rich.console import Console  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for title in titles:
        table.add_column(title, overflow="fold")
    for row in rows:
        table.add_row(*(printable(cell) for cell in row))
    Console(markup=False, highlight=False, emoji=False).print(table)


def show_styled(lines: Iterable[StyledLine]) -> None:
    from rich.console import Console  # noqa: PLC0415 - as above
    from rich.text import Text  # noqa: PLC0415

    console = Console(markup=False, highlight=False, emoji=False, soft_wrap=True)
    for line in lines:
        console.print(Text(printable(line.text), style=line.style))


def clear_screen() -> None:
    sys.stdout.write("\x1b[H\x1b[2J")


def printable(text: str) -> str:
    """Keeps what a board says from controlling the terminal."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)


def describe_key(key: KeyStatus) -> dict[str, JsonValue]:
    """The JSON form of `status`: docs/protocol.md promises these fields and no others."""
    described: dict[str, JsonValue] = {
        "id": key.id,
        "type": key.type,
        "pkh": key.pkh,
        "public_key": key.public_key,
    }
    if key.proof_of_possession is not None:
        described["proof_of_possession"] = key.proof_of_possession
    described["lock_state"] = key.lock_state
    described["chain_id"] = key.chain_id
    described["marks"] = None if key.marks is None else _describe_marks(key.marks)
    if key.last_level is not None:
        described["last_level"] = key.last_level
    return described


def describe_outcome(outcome: KeyOutcome) -> dict[str, JsonValue]:
    return {"id": outcome.id, "code": outcome.code, "message": outcome.message}


def mark_cell(mark: MarkStatus | None) -> str:
    if mark is None:
        return "-"
    return f"{mark.level}/{'all' if mark.round == _LAST_ROUND else mark.round}"


def _describe_marks(marks: MarksStatus) -> dict[str, JsonValue]:
    return {
        "block": _describe_mark(marks.block),
        "preattestation": _describe_mark(marks.preattestation),
        "attestation": _describe_mark(marks.attestation),
    }


def _describe_mark(mark: MarkStatus | None) -> dict[str, JsonValue] | None:
    return None if mark is None else {"level": mark.level, "round": mark.round}
