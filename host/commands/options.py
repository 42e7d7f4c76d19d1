"""Options that every command takes, before or after its name, and the types of arguments. Light to
import.

Owns `--device` and `--json`. Touches no board. Used by `cli` and by the commands.
"""

import re
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Final, TypeVar

import click

from host.errors import UsageError
from host.output import is_terminal

__all__ = [
    "Options",
    "board_options",
    "check_key_name",
    "check_key_names",
    "confirm",
    "passphrase_option",
    "yes_option",
]

_KEY_NAME: Final = re.compile(r"[a-z0-9_-]{1,64}")
_NAMES_LIMIT: Final = 64  # as broker.messages has it
_Function = TypeVar("_Function", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """`serial` None: the only board that is attached."""

    serial: str | None = None
    force_json: bool = False

    @property
    def as_json(self) -> bool:
        return self.force_json or not is_terminal()


def check_key_name(_context: click.Context, _param: click.Parameter, name: str) -> str:
    """Click's callback for an argument; the board would refuse another name too, but later."""
    if _KEY_NAME.fullmatch(name) is None:
        raise click.BadParameter(f"{name!r}: a key's name is 1 to 64 of a-z 0-9 _ -")
    return name


def check_key_names(
    context: click.Context, param: click.Parameter, names: tuple[str, ...]
) -> tuple[str, ...]:
    if len(set(names)) != len(names) or len(names) > _NAMES_LIMIT:
        raise click.BadParameter(f"name each key once, and at most {_NAMES_LIMIT} of them")
    return tuple(check_key_name(context, param, name) for name in names)


def board_options(function: _Function) -> _Function:
    """Adds --device and --json; both end up in the context's `Options`."""
    function = click.option(
        "--json",
        is_flag=True,
        expose_value=False,
        callback=_take_json,
        help="Print JSON, as when the output is not a terminal.",
    )(function)
    return click.option(
        "--device",
        metavar="SERIAL",
        expose_value=False,
        callback=_take_device,
        help="The board to use, where several are attached.",
    )(function)


def passphrase_option(function: _Function) -> _Function:
    return click.option(
        "--passphrase-file",
        metavar="PATH",
        help="Read the passphrase from the first line of a file; - is standard input.",
    )(function)


def yes_option(function: _Function) -> _Function:
    return click.option("--yes", is_flag=True, help="Don't ask for confirmation.")(function)


def confirm(what: str, *, yes: bool) -> None:
    """Asks a person before something that can't be undone.

    Raises:
        UsageError: there is nobody to ask, or the answer is no.
    """
    if yes:
        return
    if not sys.stdin.isatty():
        raise UsageError(f"{what} To do that without being asked, say --yes")
    click.echo(what, err=True)
    if click.prompt("Type yes to go on", default="", show_default=False, err=True) != "yes":
        raise UsageError("not confirmed; nothing was done")


def _take_device(context: click.Context, _param: click.Parameter, serial: str | None) -> None:
    if serial is not None:
        context.obj = replace(context.ensure_object(Options), serial=serial)


def _take_json(context: click.Context, _param: click.Parameter, given: bool) -> None:
    if given:
        context.obj = replace(context.ensure_object(Options), force_json=True)
