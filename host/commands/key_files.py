"""`tezsign advanced keys export` and `import`: a key moves to another board, in a file.

Owns the file on this machine, which is made before the board is asked: a key must not be retired
for a file that can't be written. Source: docs/failover.md.
"""

import contextlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import click

from broker.messages import KeyStatus
from host.client import Client
from host.commands.board import PASSPHRASE_S, ask, choose_board
from host.commands.options import (
    Options,
    board_options,
    check_key_name,
    confirm,
    passphrase_option,
    yes_option,
)
from host.errors import HostError, UsageError
from host.key_file import KEY_FILE_LIMIT_BYTES, encode_key_file, parse_key_file
from host.output import describe_key, printable, show_json, show_text
from host.passphrase import read_other_passphrase, read_passphrase

__all__ = ["keys_group"]

_file_passphrase_option = click.option(
    "--file-passphrase-file",
    metavar="PATH",
    help="Read the file's passphrase from the first line of a file; - is standard input.",
)


@click.group("keys")
@board_options
def keys_group() -> None:
    """Keys that move to another board, as a file; made with `new --exportable` only."""


@keys_group.command("export")
@click.argument("name", callback=check_key_name)
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@_file_passphrase_option
@yes_option
@passphrase_option
@board_options
@click.pass_obj
def _export(
    options: Options,
    *,
    name: str,
    file: Path,
    file_passphrase_file: str | None,
    yes: bool,
    passphrase_file: str | None,
) -> None:
    """Retire a key on this board for good, and write it into FILE.

    The file opens with a passphrase of its own. Import it on one board only: two boards that sign
    with one key are slashed. While the key is here, it may be exported again.
    """
    board = choose_board(options)
    confirm(f"{name} will never sign again on this board: that can't be undone.", yes=yes)
    passphrase = read_passphrase(passphrase_file)
    file_passphrase = read_other_passphrase(
        file_passphrase_file,
        name="Passphrase of the file",
        option="--file-passphrase-file",
        is_new=True,
    )

    async def export(client: Client) -> tuple[str, bytes]:
        return await client.export_key(passphrase, name, file_passphrase)

    with _create(file) as stream:
        pkh, sealed = ask(board, export, deadline_s=PASSPHRASE_S)
        try:
            stream.write(encode_key_file(pkh, sealed).encode())
            stream.flush()
            os.fsync(stream.fileno())
        except OSError as error:
            raise HostError(
                f"{name} is retired, but {file} could not be written ({error.strerror}):"
                " export it again to another place"
            ) from error
    _sync_folder(file.parent)
    if options.as_json:
        show_json({"id": name, "pkh": pkh, "file": str(file)})
    else:
        show_text(f"{name} ({printable(pkh)}) is retired here and in {file}.")


@keys_group.command("import")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--name", callback=lambda c, p, v: v and check_key_name(c, p, v),
              help="What the key is to be called, where its old name will not do.")  # fmt: skip
@_file_passphrase_option
@passphrase_option
@board_options
@click.pass_obj
def _import(
    options: Options,
    *,
    file: Path,
    name: str | None,
    file_passphrase_file: str | None,
    passphrase_file: str | None,
) -> None:
    """Take in a key from FILE, with the marks that it had.

    Where the key is on this board already, only its marks are raised.
    """
    sealed = parse_key_file(_read(file))
    board = choose_board(options)
    passphrase = read_passphrase(passphrase_file)
    file_passphrase = read_other_passphrase(
        file_passphrase_file,
        name="Passphrase of the file",
        option="--file-passphrase-file",
        is_new=False,
    )

    async def take_in(client: Client) -> KeyStatus:
        return await client.import_key(passphrase, sealed, file_passphrase, name)

    key = ask(board, take_in, deadline_s=PASSPHRASE_S)
    if options.as_json:
        show_json(describe_key(key))
    elif key.last_level is not None:
        show_text(f"{key.id} ({printable(key.pkh)}) is here, and retired on this board.")
    else:
        show_text(f"{key.id} ({printable(key.pkh)}) is here. Let it sign: tezsign unlock {key.id}")


@contextmanager
def _create(file: Path) -> Iterator[BinaryIO]:
    """A new file for the owner only; where the block fails, it is gone again."""
    try:
        stream = os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb")
    except OSError as error:
        raise UsageError(f"cannot create {file}: {error.strerror}; nothing was done") from error
    try:
        with stream:
            yield stream
    except BaseException:
        with contextlib.suppress(OSError):
            file.unlink()
        raise


def _sync_folder(folder: Path) -> None:
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _read(file: Path) -> bytes:
    try:
        with file.open("rb") as stream:
            return stream.read(KEY_FILE_LIMIT_BYTES)
    except OSError as error:
        raise UsageError(f"cannot read {file}: {error.strerror}") from error
