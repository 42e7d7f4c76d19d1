"""The command that lasts: serves a board's keys to a baker over HTTP, for years.

Owns the options and their checks. The work is `host.serving`.
"""

import os
import re
from pathlib import Path
from typing import Final

import click
import trio

from host.authentication import Authenticator
from host.commands.options import Options, board_options, check_key_names, passphrase_option
from host.credential import find_credential
from host.errors import UsageError
from host.logs import write_logs
from host.serving import serve
from host.settings import DEFAULT_LISTEN, ENV_UNLOCK_KEYS, RunSettings, parse_listen
from host.witness_file import default_place
from tezos.errors import TezosError

__all__ = ["COMMANDS"]


@click.command("run")
@click.argument("names", callback=check_key_names, nargs=-1, metavar="[NAME...]")
@click.option(
    "--listen",
    default=DEFAULT_LISTEN,
    show_default=True,
    metavar="ADDRESS:PORT",
    help="Where the baker finds the signer.",
)
@click.option(
    "--authorized-key",
    "authorized_keys",
    multiple=True,
    metavar="PUBLIC_KEY",
    help="Sign only for who signs the request with this key (edpk..., BLpk...); repeatable.",
)
@click.option(
    "--allow-remote",
    is_flag=True,
    help="Listen where other machines reach it, without an --authorized-key.",
)
@click.option(
    "--witness-file",
    type=click.Path(dir_okay=False, path_type=Path),
    envvar="TEZSIGN_WITNESS_FILE",
    metavar="PATH",
    help="Where to note the highest level that each key has signed (as a rule in the account's"
    " state folder): a board that forgets is not used.",
)
@click.option(
    "--metrics",
    metavar="ADDRESS:PORT",
    help="Serve /metrics, /healthz and /statusz for monitoring there, such as 127.0.0.1:20091.",
)
@passphrase_option
@board_options
@click.pass_obj
def _run(
    options: Options,
    *,
    names: tuple[str, ...],
    listen: str,
    authorized_keys: tuple[str, ...],
    allow_remote: bool,
    passphrase_file: str | None,
    witness_file: Path | None,
    metrics: str | None,
) -> int:
    """Serve the board's keys to a baker over HTTP.

    Without names: all keys, also those that are made later. The keys must be unlocked (tezsign
    unlock). Where a passphrase is left in a file, in the systemd credential tezsign-passphrase or
    in TEZSIGN_UNLOCK_PASS, they are unlocked after each start of the board; TEZSIGN_UNLOCK_KEYS
    says which. Ends on SIGTERM and Ctrl-C.
    """
    try:
        settings = RunSettings(
            listen=parse_listen(listen),
            witness_file=witness_file or default_place(),
            aliases=names,
            authorized_keys=authorized_keys,
            allow_remote=allow_remote,
            metrics=None if metrics is None else parse_listen(metrics),
            unlock_ids=tuple(re.findall(r"[^\s,]+", os.environ.get(ENV_UNLOCK_KEYS, ""))),
        )
        authenticator = Authenticator(authorized_keys) if authorized_keys else None
    except (ValueError, TezosError) as error:
        raise UsageError(str(error)) from error
    credential = find_credential(passphrase_file)
    with write_logs():
        return trio.run(serve, settings, authenticator, options.serial, credential)


COMMANDS: Final = {"run": _run}
