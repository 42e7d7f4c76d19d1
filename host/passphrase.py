"""Where a passphrase comes from: a file or standard input, the environment, a prompt. Never an
argument.

Owns the order and the checks. Python can't wipe what it reads here; the command that asked ends
soon after, and `run` never asks. Called by the commands.
"""

import getpass
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO, Final

from host.errors import UsageError
from host.settings import ENV_PASSPHRASE

__all__ = ["PASSPHRASE_LIMIT_BYTES", "read_other_passphrase", "read_passphrase"]

PASSPHRASE_LIMIT_BYTES: Final = 1024
"""As `broker.messages` has it."""

_STANDARD_INPUT: Final = "-"


def read_passphrase(
    file: str | None, *, is_new: bool = False, environment: Mapping[str, str] = os.environ
) -> bytes:
    """Returns the passphrase, 1 to 1,024 bytes.

    Args:
        file: its first line is taken, without the line's end; "-" is standard input.
        is_new: a prompt asks for it twice.

    Raises:
        UsageError: there is none, or nobody to ask.
        KeyboardInterrupt: the person gave up.
    """
    if file is not None:
        return _check(_read_file(file))
    if ENV_PASSPHRASE in environment:
        return _check(os.fsencode(environment[ENV_PASSPHRASE]))
    if not sys.stdin.isatty():
        raise UsageError(
            f"this needs the passphrase: run it on a terminal, set {ENV_PASSPHRASE},"
            " or give --passphrase-file PATH"
        )
    return _check(_prompt("Passphrase", is_new=is_new))


def read_other_passphrase(file: str | None, *, name: str, option: str, is_new: bool) -> bytes:
    """Returns a passphrase that is not the board's present one; the environment has only that.

    Args:
        file: as in `read_passphrase`; where both are standard input, this is its second line.
        name: what the prompt asks for.
        option: the one that `file` comes from.
        is_new: a prompt asks for it twice.

    Raises:
        UsageError, KeyboardInterrupt: as `read_passphrase`.
    """
    if file is not None:
        return _check(_read_file(file))
    if not sys.stdin.isatty():
        raise UsageError(f"this needs the {name.lower()}: run it on a terminal, or give {option}")
    return _check(_prompt(name, is_new=is_new))


def _read_file(file: str) -> bytes:
    if file == _STANDARD_INPUT:
        return _read_line(sys.stdin.buffer)
    try:
        with Path(file).open("rb") as stream:
            return _read_line(stream)
    except OSError as error:
        raise UsageError(f"cannot read the passphrase file {file}: {error.strerror}") from error


def _read_line(stream: BinaryIO) -> bytes:
    line = stream.readline(PASSPHRASE_LIMIT_BYTES + 3)
    return line.removesuffix(b"\n").removesuffix(b"\r")


def _prompt(name: str, *, is_new: bool) -> bytes:
    try:
        first = getpass.getpass(f"{name}: ")
        if is_new and getpass.getpass("The same again: ") != first:
            raise UsageError("the two passphrases differ; nothing was done")
    except EOFError:
        raise KeyboardInterrupt from None
    return first.encode()


def _check(passphrase: bytes) -> bytes:
    if not passphrase:
        raise UsageError("the passphrase is empty")
    if len(passphrase) > PASSPHRASE_LIMIT_BYTES:
        raise UsageError(f"the passphrase is longer than {PASSPHRASE_LIMIT_BYTES} bytes")
    return passphrase
