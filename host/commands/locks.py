"""Commands that decide whether keys sign at all: unlock, lock, delete, passwd."""

import sys
from collections.abc import Sequence
from typing import Final

import click

from broker.messages import KeyOutcome
from host.client import Client
from host.commands.board import PASSPHRASE_S, ask, choose_board
from host.commands.options import (
    Options,
    board_options,
    check_key_name,
    check_key_names,
    passphrase_option,
)
from host.errors import ExitStatus, UsageError
from host.output import describe_outcome, show_json, show_table, show_text
from host.passphrase import read_other_passphrase, read_passphrase

__all__ = ["COMMANDS"]


@click.command("unlock")
@click.argument("names", callback=check_key_names, nargs=-1, metavar="[NAME...]")
@passphrase_option
@board_options
@click.pass_obj
def _unlock(options: Options, names: tuple[str, ...], passphrase_file: str | None) -> int:
    """Let keys sign.

    Without names: all keys. They stay unlocked until the board restarts or `tezsign lock`.
    """
    board = choose_board(options)
    passphrase = read_passphrase(passphrase_file)

    async def unlock(client: Client) -> tuple[KeyOutcome, ...]:
        return await client.unlock(passphrase, names)

    outcomes = ask(board, unlock, deadline_s=PASSPHRASE_S)
    return _show_outcomes(options, outcomes, done="unlocked")


@click.command("lock")
@click.argument("names", callback=check_key_names, nargs=-1, metavar="[NAME...]")
@board_options
@click.pass_obj
def _lock(options: Options, names: tuple[str, ...]) -> int:
    """Stop keys from signing.

    Without names: all keys.
    """

    async def lock(client: Client) -> tuple[KeyOutcome, ...]:
        return await client.lock(names)

    return _show_outcomes(options, ask(choose_board(options), lock), done="locked")


@click.command("delete")
@click.argument("name", callback=check_key_name)
@click.option("--yes", is_flag=True, help="Don't ask for confirmation.")
@passphrase_option
@board_options
@click.pass_obj
def _delete(options: Options, name: str, yes: bool, passphrase_file: str | None) -> None:
    """Delete a key for good.

    The board keeps the marks of what the key has signed.
    """
    board = choose_board(options)
    if not yes:
        _confirm(name)
    passphrase = read_passphrase(passphrase_file)

    async def delete(client: Client) -> None:
        await client.delete(passphrase, name)

    ask(board, delete, deadline_s=PASSPHRASE_S)
    if options.as_json:
        show_json({"id": name, "deleted": True})
    else:
        show_text(f"The key {name} is deleted.")


@click.command("passwd")
@click.option(
    "--new-passphrase-file",
    metavar="PATH",
    help="Read the new passphrase from the first line of a file; - is standard input.",
)
@passphrase_option
@board_options
@click.pass_obj
def _passwd(options: Options, new_passphrase_file: str | None, passphrase_file: str | None) -> None:
    """Change the board's passphrase.

    All keys get it at once or none does. What unlocks the board without a person, like the
    credential of `tezsign run`, has to be changed by you.
    """
    board = choose_board(options)
    passphrase = read_passphrase(passphrase_file)
    new = read_other_passphrase(
        new_passphrase_file, name="New passphrase", option="--new-passphrase-file", is_new=True
    )

    async def passwd(client: Client) -> None:
        await client.passwd(passphrase, new)

    ask(board, passwd, deadline_s=PASSPHRASE_S)
    if options.as_json:
        show_json({"changed": True})
    else:
        show_text("The passphrase is changed. Unlocked keys stay unlocked.")


def _confirm(name: str) -> None:
    if not sys.stdin.isatty():
        raise UsageError(f"to delete {name} without being asked, say --yes")
    click.echo(f"The key {name} will be gone for good: nothing can bring it back.", err=True)
    typed = click.prompt("Type its name to delete it", default="", show_default=False, err=True)
    if typed != name:
        raise UsageError("that is not its name; nothing was done")


def _show_outcomes(options: Options, outcomes: Sequence[KeyOutcome], *, done: str) -> int:
    """Returns the exit status: one key that was refused is enough to say so."""
    if options.as_json:
        show_json([describe_outcome(outcome) for outcome in outcomes])
    else:
        rows = [(o.id, done if o.code == 0 else o.message) for o in outcomes]
        show_table(("name", "result"), rows)
    refused = [outcome.id for outcome in outcomes if outcome.code != 0]
    if not refused:
        return ExitStatus.DONE
    click.echo(f"tezsign: not {done}: {', '.join(refused)}", err=True)
    return ExitStatus.REFUSED


COMMANDS: Final = {"unlock": _unlock, "lock": _lock, "delete": _delete, "passwd": _passwd}
