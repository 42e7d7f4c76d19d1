"""The `tezsign` command: which commands there are, and how each failure ends.

Owns the list of commands, the one-line errors and the exit statuses. Loads a command's module only
when it is called, so that `tezsign --help` is quick. Called by `__main__`.

Exit statuses: 0 done, 1 failed, 2 used wrongly, 3 no board, 4 the board refused, 5 another process
has the board, 6 and 7 the board is degraded or critical (health), 130 Ctrl-C.
"""

import os
import sys
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Final

import click
from click.exceptions import NoArgsIsHelpError

from broker.version import VERSION
from host.commands.options import Options, board_options
from host.errors import ExitStatus, HostError
from host.output import printable
from host.settings import ENV_DEBUG

__all__ = ["COMMANDS", "main"]

PROGRAM: Final = "tezsign"
_INTERRUPTED: Final = 130


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandEntry:
    """`module` has a table `COMMANDS` with the command; `help` is the first line of its help."""

    module: str
    help: str


COMMANDS: Final = {
    "list-devices": CommandEntry(
        module="host.commands.device", help="Show the boards that are attached."
    ),
    "version": CommandEntry(
        module="host.commands.device", help="Show the versions of this command and of the board."
    ),
    "init": CommandEntry(
        module="host.commands.keys", help="Create the board's keystore, once, with a passphrase."
    ),
    "new": CommandEntry(module="host.commands.keys", help="Create keys on the board."),
    "list": CommandEntry(module="host.commands.keys", help="Show the board's keys."),
    "status": CommandEntry(
        module="host.commands.keys", help="Show what each key has signed last, and its state."
    ),
    "unlock": CommandEntry(module="host.commands.locks", help="Let keys sign."),
    "lock": CommandEntry(module="host.commands.locks", help="Stop keys from signing."),
    "delete": CommandEntry(module="host.commands.locks", help="Delete a key for good."),
    "passwd": CommandEntry(module="host.commands.locks", help="Change the board's passphrase."),
    "logs": CommandEntry(module="host.commands.device", help="Show the board's newest log lines."),
    "ping": CommandEntry(module="host.commands.device", help="Measure the way to the board."),
    "health": CommandEntry(
        module="host.commands.health", help="Show how the board is, and what to do about it."
    ),
    "doctor": CommandEntry(
        module="host.commands.health",
        help="Examine everything between the baker and its keys.",
    ),
    "run": CommandEntry(
        module="host.commands.run", help="Serve the board's keys to a baker over HTTP."
    ),
    "advanced": CommandEntry(
        module="host.commands.advanced",
        help="Levels, chains, retirement: what a move to another board needs.",
    ),
}


class _LazyGroup(click.Group):
    """Knows names and help texts without loading a command."""

    def list_commands(self, _ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, _ctx: click.Context, cmd_name: str) -> click.Command | None:
        entry = COMMANDS.get(cmd_name)
        if entry is None:
            return None
        table: dict[str, click.Command] = import_module(entry.module).COMMANDS
        return table[cmd_name]

    def format_commands(self, _ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, entry.help) for name, entry in COMMANDS.items()])


@click.group(cls=_LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(VERSION, message=f"{PROGRAM} %(version)s")
@board_options
@click.pass_context
def _tezsign(context: click.Context) -> None:
    """Manage a tezsign board and serve its keys to a Tezos baker."""
    context.ensure_object(Options)


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command and returns the exit status; a failure is one line on standard error.

    Args:
        arguments: without the program's name; None: those of the process.
    """
    try:
        status = _tezsign.main(arguments, prog_name=PROGRAM, standalone_mode=False)
        sys.stdout.flush()
    except BaseExceptionGroup as group:
        return _report(_find_cause(group))
    except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 - no traceback for a person
        return _report(error)
    return int(status or ExitStatus.DONE)


def _find_cause(error: BaseException) -> BaseException:
    """Returns what a person should hear of: Ctrl-C first, then what we raised ourselves."""
    if not isinstance(error, BaseExceptionGroup):
        return error
    causes = [_find_cause(inner) for inner in error.exceptions]
    for family in (KeyboardInterrupt, HostError):
        for cause in causes:
            if isinstance(cause, family):
                return cause
    return causes[0]


def _report(error: BaseException) -> int:
    """Returns the exit status."""
    if isinstance(error, BrokenPipeError):
        _forget_output()
        return ExitStatus.FAILED
    if isinstance(error, KeyboardInterrupt | click.Abort):
        return _INTERRUPTED
    if isinstance(error, HostError):
        _say(str(error))
        return error.exit_status
    if isinstance(error, click.ClickException):
        return _report_usage(error)
    if os.environ.get(ENV_DEBUG):
        traceback.print_exception(error)
    _say(f"unexpected failure, {ENV_DEBUG}=1 shows where: {type(error).__name__}: {error}")
    return ExitStatus.FAILED


def _report_usage(error: click.ClickException) -> int:
    if isinstance(error, NoArgsIsHelpError):
        error.show()
        return ExitStatus.USAGE
    context = error.ctx if isinstance(error, click.UsageError) else None
    command = PROGRAM if context is None else context.command_path
    _say(f"{error.format_message()} See: {command} --help")
    return ExitStatus.USAGE


def _say(message: str) -> None:
    line = printable(" ".join(message.split()))  # it may be the board's
    print(f"{PROGRAM}: {line}", file=sys.stderr)  # noqa: T201


def _forget_output() -> None:
    """Who read the output is gone: the interpreter must not complain of that when it ends."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)
