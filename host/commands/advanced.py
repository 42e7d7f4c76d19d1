"""The group `tezsign advanced`, and those of its commands that move a key's limits: set-level,
set-chain, retire.

None of them can lower a mark. Each says what it will do, since it can't be undone, and asks.
Source: docs/failover.md.
"""

from typing import Final

import click

from broker.messages import KeyStatus
from host.client import Client
from host.commands.board import PASSPHRASE_S, ask, choose_board
from host.commands.key_files import keys_group
from host.commands.marks import marks_group
from host.commands.options import (
    Options,
    board_options,
    check_key_name,
    confirm,
    passphrase_option,
    yes_option,
)
from host.commands.port_reset import usb_port_reset
from host.discover import DeviceInfo
from host.errors import UsageError
from host.output import describe_key, mark_cell, show_json, show_text
from host.passphrase import read_passphrase
from tezos.errors import BadEncoding
from tezos.keys import encode_chain_id, parse_chain_id

__all__ = ["COMMANDS"]

_LEVEL: Final = click.IntRange(0, 2**31 - 1)


def _check_chain(_context: click.Context, _param: click.Parameter, name: str | None) -> str | None:
    if name is None:
        return None
    try:
        return encode_chain_id(parse_chain_id(name))
    except BadEncoding as error:
        raise click.BadParameter(f"{name!r} is neither mainnet nor a NetX... id") from error


@click.group("advanced")
@board_options
def _advanced() -> None:
    """Levels, chains, retirement: what a move to another board needs.

    Read docs/failover.md first: a baker that signs on two boards is slashed.
    """


@_advanced.command("set-level")
@click.argument("name", callback=check_key_name)
@click.argument("level", type=_LEVEL)
@click.option(
    "--chain",
    callback=_check_chain,
    metavar="mainnet|NetX...",
    help="Not the chain that the key signs on, but this one.",
)
@yes_option
@passphrase_option
@board_options
@click.pass_obj
def _set_level(
    options: Options,
    *,
    name: str,
    level: int,
    chain: str | None,
    yes: bool,
    passphrase_file: str | None,
) -> None:
    """Use up all levels up to LEVEL, for every kind; LEVEL + 1 is the first that is signed.

    Marks are only raised. This brings a key back whose marks were lost: take a level that it can't
    have reached yet, that is above the head of the chain.
    """
    board = choose_board(options)
    key = _find(board, name)
    confirm(
        f"{name} ({_describe_marks(key)}) will never sign at level {level} or below"
        f"{'' if chain is None else f' on {chain}'}: that can't be undone.",
        yes=yes,
    )
    passphrase = read_passphrase(passphrase_file)

    async def set_level(client: Client) -> KeyStatus:
        return await client.set_level(passphrase, name, chain, level)

    key = ask(board, set_level, deadline_s=PASSPHRASE_S)
    _show(options, key, f"{name}: the first level that it signs is {level + 1}.")


@_advanced.command("set-chain")
@click.argument("name", callback=check_key_name)
@click.argument("chain", callback=_check_chain, metavar="mainnet|NetX...")
@passphrase_option
@board_options
@click.pass_obj
def _set_chain(options: Options, name: str, chain: str, passphrase_file: str | None) -> None:
    """Let a key sign on another chain, and on no other.

    The marks of every chain stay.
    """
    board = choose_board(options)
    passphrase = read_passphrase(passphrase_file)

    async def set_chain(client: Client) -> KeyStatus:
        return await client.set_chain(passphrase, name, chain)

    key = ask(board, set_chain, deadline_s=PASSPHRASE_S)
    _show(options, key, f"{name} signs on {chain} from now on.")


@_advanced.command("retire")
@click.argument("name", callback=check_key_name)
@click.option(
    "--last-level", type=_LEVEL, required=True, help="The last level that the key may sign."
)
@yes_option
@passphrase_option
@board_options
@click.pass_obj
def _retire(
    options: Options, name: str, last_level: int, yes: bool, passphrase_file: str | None
) -> None:
    """Let a key sign nothing above a level, for good.

    The level can be lowered later, never raised, and the retirement is never taken back.
    """
    board = choose_board(options)
    key = _find(board, name)
    confirm(
        f"{name} ({_describe_marks(key)}) will never sign above level {last_level} on this board:"
        " that can't be undone.",
        yes=yes,
    )
    passphrase = read_passphrase(passphrase_file)

    async def retire(client: Client) -> KeyStatus:
        return await client.retire(passphrase, name, last_level)

    key = ask(board, retire, deadline_s=PASSPHRASE_S)
    _show(options, key, f"{name} is retired: it signs nothing above level {last_level}.")


def _find(board: DeviceInfo, name: str) -> KeyStatus:
    for key in ask(board, lambda client: client.status()):
        if key.id == name:
            return key
    raise UsageError(f"the board has no key {name}: tezsign list")


def _describe_marks(key: KeyStatus) -> str:
    if key.marks is None:
        return key.lock_state
    marks = (key.marks.block, key.marks.preattestation, key.marks.attestation)
    return "block {}, preattestation {}, attestation {}".format(*map(mark_cell, marks))


def _show(options: Options, key: KeyStatus, text: str) -> None:
    if options.as_json:
        show_json(describe_key(key))
    else:
        show_text(text)


_advanced.add_command(marks_group)
_advanced.add_command(keys_group)
_advanced.add_command(usb_port_reset)

COMMANDS: Final = {"advanced": _advanced}
