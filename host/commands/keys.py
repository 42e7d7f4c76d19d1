"""Commands that create and show keys: init, new, list, status."""

from typing import Final

import click

from broker.messages import KeyStatus
from host.client import Client
from host.commands.board import PASSPHRASE_S, ask, choose_board
from host.commands.options import (
    Options,
    board_options,
    check_key_names,
    passphrase_option,
)
from host.discover import DeviceInfo
from host.errors import UsageError
from host.output import describe_key, mark_cell, printable, show_json, show_table, show_text
from host.passphrase import read_passphrase
from host.registration import BAKER_PLACEHOLDER, registration_lines
from tezos.errors import BadEncoding
from tezos.keys import MAINNET, KeyType, encode_chain_id, parse_chain_id

__all__ = ["COMMANDS"]

_FIRST_CHAIN: Final = "first"


@click.command("init")
@click.option(
    "--deterministic",
    is_flag=True,
    help="Derive the keys from one seed instead of drawing each at random.",
)
@passphrase_option
@board_options
@click.pass_obj
def _init(options: Options, deterministic: bool, passphrase_file: str | None) -> None:
    """Create the board's keystore, once, with a passphrase.

    Without the passphrase the keys are lost: nothing can bring them back.
    """
    board = choose_board(options)
    passphrase = read_passphrase(passphrase_file, is_new=True)

    async def init(client: Client) -> None:
        await client.init(passphrase, deterministic=deterministic)

    ask(board, init, deadline_s=PASSPHRASE_S)
    if options.as_json:
        show_json({"initialised": True, "deterministic": deterministic})
    else:
        show_text("The keystore is there. Create keys: tezsign new NAME")


@click.command("new")
@click.argument("names", callback=check_key_names, nargs=-1, required=True, metavar="NAME...")
@click.option(
    "--type",
    "key_type",
    type=click.Choice([key_type.value for key_type in KeyType]),
    default=KeyType.TZ4.value,
    show_default=True,
    help="The kind of key, as its address begins.",
)
@click.option(
    "--chain",
    default="mainnet",
    show_default=True,
    metavar="mainnet|NetX...|first",
    help="The one chain that the keys sign on; first: the first that they are asked for.",
)
@click.option("--exportable", is_flag=True, help="Let the keys be exported to another board later.")
@passphrase_option
@board_options
@click.pass_obj
def _new(
    options: Options,
    *,
    names: tuple[str, ...],
    key_type: str,
    chain: str,
    exportable: bool,
    passphrase_file: str | None,
) -> None:
    """Create keys on the board.

    Prints the octez-client lines that register each of them with its proof of possession.
    """
    chain_id = _parse_chain(chain)
    board = choose_board(options)
    passphrase = read_passphrase(passphrase_file)
    created: list[KeyStatus] = []

    async def create(client: Client) -> None:
        for name in names:
            key = await client.new(passphrase, name, key_type, chain_id, exportable=exportable)
            created.append(key)  # now: it must be shown where the next one fails

    try:
        ask(board, create, deadline_s=PASSPHRASE_S * len(names))
    finally:  # where the second of two fails, the first is there and has to be shown
        _show_created(options, created)


def _show_created(options: Options, created: list[KeyStatus]) -> None:
    if options.as_json and created:
        show_json([describe_key(key) for key in created])
    elif created:
        _show_list(created)
        _show_registration(created)


@click.command("list")
@board_options
@click.pass_obj
def _list(options: Options) -> None:
    """Show the board's keys."""
    board = choose_board(options)
    keys = ask(board, lambda client: client.status())
    if options.as_json:
        show_json([{"id": key.id, "type": key.type, "pkh": key.pkh} for key in keys])
    elif keys:
        _show_list(keys)
    else:
        _explain_no_keys(board)


@click.command("status")
@click.option(
    "--full",
    is_flag=True,
    help="Add public keys, proofs, and the octez-client lines that register the keys.",
)
@board_options
@click.pass_obj
def _status(options: Options, full: bool) -> None:
    """Show what each key has signed last, and its state.

    A locked key can't read its marks. JSON output is always full.
    """
    board = choose_board(options)
    keys = ask(board, lambda client: client.status())
    if options.as_json:
        show_json([describe_key(key) for key in keys])
        return
    if not keys:
        _explain_no_keys(board)
        return
    _show_marks(keys)
    if full:
        for key in keys:
            show_text(f"{key.id}  {printable(key.pkh)}")
            show_text(f"  public key  {printable(key.public_key)}")
            if key.proof_of_possession is not None:
                show_text(f"  proof       {printable(key.proof_of_possession)}")
        show_text("")
        _show_registration(keys)


def _parse_chain(text: str) -> str | None:
    if text == _FIRST_CHAIN:
        return None
    try:
        return encode_chain_id(parse_chain_id(text))
    except BadEncoding as error:
        raise UsageError(f"--chain takes mainnet, a NetX... id or first, not {text!r}") from error


def _show_list(keys: list[KeyStatus] | tuple[KeyStatus, ...]) -> None:
    show_table(
        ("name", "type", "state", "address"),
        [(key.id, key.type, key.lock_state, key.pkh) for key in keys],
    )


def _show_marks(keys: tuple[KeyStatus, ...]) -> None:
    show_table(
        ("name", "state", "chain", "block", "preattestation", "attestation"),
        [(key.id, _state_cell(key), _chain_cell(key), *_mark_cells(key)) for key in keys],
    )


def _state_cell(key: KeyStatus) -> str:
    return key.lock_state if key.last_level is None else f"retired at level {key.last_level}"


def _chain_cell(key: KeyStatus) -> str:
    if key.chain_id is None:
        return "the first one"
    return "mainnet" if key.chain_id == encode_chain_id(MAINNET) else key.chain_id


def _mark_cells(key: KeyStatus) -> tuple[str, str, str]:
    if key.marks is None:
        return ("?", "?", "?")
    marks = key.marks
    return (
        mark_cell(marks.block),
        mark_cell(marks.preattestation),
        mark_cell(marks.attestation),
    )


def _show_registration(keys: list[KeyStatus] | tuple[KeyStatus, ...]) -> None:
    show_text(
        "# As consensus key or, for the DAL, as companion key; `tezsign run` must be listening."
    )
    show_text(f"# {BAKER_PLACEHOLDER} stands for the name that octez-client has for the baker.")
    for key in keys:
        for line in registration_lines(key):
            show_text(printable(line))


def _explain_no_keys(board: DeviceInfo) -> None:
    if ask(board, lambda client: client.init_info()).initialised:
        show_text("The board has no keys. Create one: tezsign new NAME")
    else:
        show_text("The board is new. Create its keystore: tezsign init")


COMMANDS: Final = {"init": _init, "new": _new, "list": _list, "status": _status}
