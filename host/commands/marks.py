"""`tezsign advanced marks export` and `import`: what was signed here, for another board to know.

Owns which keys are meant, and what a person is told and asked. The file is `host.mark_file`.
Source: docs/failover.md.
"""

import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import click

from broker.messages import ChainEntry, KeyMarks, KeyOutcome, MarkEntry, MarkStatus
from host.client import Client
from host.commands.board import PASSPHRASE_S, ask, choose_board
from host.commands.options import (
    Options,
    board_options,
    check_key_names,
    confirm,
    passphrase_option,
    yes_option,
)
from host.errors import ExitStatus, Refused, UsageError
from host.mark_file import (
    KINDS,
    MARK_FILE_LIMIT_BYTES,
    describe_marks,
    find_kind,
    parse_mark_file,
)
from host.output import JsonValue, mark_cell, show_json, show_table
from host.passphrase import read_passphrase

__all__ = ["marks_group"]

_KEYS_IN_MESSAGE: Final = 16
_STANDARD_INPUT: Final = "-"


@click.group("marks")
@board_options
def marks_group() -> None:
    """What keys have signed, as a file."""


@marks_group.command("export")
@click.argument("names", callback=check_key_names, nargs=-1, metavar="[NAME...]")
@board_options
@click.pass_obj
def _export(options: Options, names: tuple[str, ...]) -> int:
    """Write the marks of unlocked keys to standard output, as JSON.

    Without names: of all keys. Retire them first: a board that goes on signing makes the file old.
    """
    found: list[KeyMarks] = []
    refused: list[str] = []

    async def export(client: Client) -> None:
        for name in names or [key.id for key in await client.status()]:
            try:
                found.append(await client.export_marks(name))
            except Refused as error:
                refused.append(f"{name}: {error}")

    ask(choose_board(options), export)
    show_json(describe_marks(found))
    for key in found:
        if all(chain.last_level is None for chain in key.chains):
            click.echo(f"tezsign: {key.id} is not retired and may sign above these marks", err=True)
    for line in refused:
        click.echo(f"tezsign: not exported: {line}", err=True)
    return ExitStatus.REFUSED if refused else ExitStatus.DONE


@dataclass(frozen=True, slots=True, kw_only=True)
class _Import:
    """The marks of one address in one file; `key_id` is None where the board has no such key."""

    address: str
    key_id: str | None
    chains: tuple[ChainEntry, ...]


@marks_group.command("import")
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@click.option(
    "--kind",
    type=click.Choice(KINDS),
    help="Of what the marks in octez-signer's files are, where their names don't say it.",
)
@yes_option
@passphrase_option
@board_options
@click.pass_obj
def _import(
    options: Options, *, files: tuple[str, ...], kind: str | None, yes: bool,
    passphrase_file: str | None,
) -> int:  # fmt: skip
    """Raise the board's marks to those in files of `marks export`, or of octez-signer.

    Nothing is lowered, and nothing in the files may be signed again. Where a key in them was
    retired, this board starts above its last level.
    """
    parsed = [(address, c) for file in files for address, c in _read(file, kind).items()]
    board = choose_board(options)
    ids = {key.pkh: key.id for key in ask(board, lambda client: client.status())}
    imports = [_Import(address=a, key_id=ids.get(a), chains=chains) for a, chains in parsed]
    known = [
        KeyMarks(id=one.key_id, pkh=one.address, chains=one.chains)
        for one in imports
        if one.key_id is not None
    ]
    outcomes: list[KeyOutcome] = []
    if known:
        confirm(f"{_describe(known)} will be used up: that can't be undone.", yes=yes)
        passphrase = read_passphrase(passphrase_file)

        async def merge(client: Client) -> None:
            for start in range(0, len(known), _KEYS_IN_MESSAGE):
                part = tuple(known[start : start + _KEYS_IN_MESSAGE])
                outcomes.extend(await client.import_marks(passphrase, part))

        ask(board, merge, deadline_s=PASSPHRASE_S * (1 + len(known) // _KEYS_IN_MESSAGE))
    return _show_outcomes(options, imports, outcomes)


def _read(file: str, kind: str | None) -> dict[str, tuple[ChainEntry, ...]]:
    try:
        if file == _STANDARD_INPUT:
            text = sys.stdin.buffer.read(MARK_FILE_LIMIT_BYTES + 1)
        else:
            with Path(file).open("rb") as stream:
                text = stream.read(MARK_FILE_LIMIT_BYTES + 1)
    except OSError as error:
        raise UsageError(f"cannot read {file}: {error.strerror}") from error
    if len(text) > MARK_FILE_LIMIT_BYTES:
        raise UsageError(f"{file} is too large for a file of marks")
    try:
        return parse_mark_file(text, kind or find_kind(Path(file).name))
    except UsageError as error:
        raise UsageError(f"{file}: {error}") from error


def _describe(keys: Iterable[KeyMarks]) -> str:
    described = []
    for key in keys:
        for chain in key.chains:
            marks: list[tuple[str, MarkEntry | None]] = [(k, getattr(chain, k)) for k in KINDS]
            levels = [
                f"{kind} {mark_cell(MarkStatus(level=mark.level, round=mark.round))}"
                for kind, mark in marks
                if mark is not None
            ]
            if chain.last_level is not None:
                levels.append(f"all up to {chain.last_level}")
            described.append(f"{key.id} on {chain.chain_id}: {', '.join(levels) or 'nothing'}")
    return "; ".join(described)


def _show_outcomes(
    options: Options, imports: list[_Import], outcomes: list[KeyOutcome]
) -> ExitStatus:
    """Returns the exit status. A key that is not on the board is told of, and no failure."""
    waiting = iter(outcomes)
    rows: list[dict[str, JsonValue]] = []
    for one in imports:
        if one.key_id is None:
            message = "no such key on this board"
            rows.append({"pkh": one.address, "id": None, "code": None, "message": message})
        else:
            done = next(waiting)
            rows.append(
                {"pkh": one.address, "id": done.id, "code": done.code, "message": done.message}
            )
    if options.as_json:
        show_json(rows)
    else:
        show_table(
            ("address", "name", "result"),
            [(str(row["pkh"]), str(row["id"] or "-"), str(row["message"])) for row in rows],
        )
    refused = [outcome.id for outcome in outcomes if outcome.code != 0]
    if not refused:
        return ExitStatus.DONE
    click.echo(f"tezsign: not imported: {', '.join(refused)}", err=True)
    return ExitStatus.REFUSED
