"""Where `tezsign run` finds the passphrase that no person types: a file, a systemd credential, the
environment.

Owns the order. Reads it anew each time, so that a person can correct it while the signer runs and
it does not lie about in between. Called by `host.auto_unlock`.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import trio

from host.errors import UsageError
from host.passphrase import read_passphrase
from host.settings import ENV_PASSPHRASE

__all__ = ["CREDENTIAL_NAME", "ENV_CREDENTIALS", "Credential", "find_credential"]

CREDENTIAL_NAME: Final = "tezsign-passphrase"
ENV_CREDENTIALS: Final = "CREDENTIALS_DIRECTORY"
"""systemd's name for where it puts what LoadCredential= and LoadCredentialEncrypted= name."""

_STANDARD_INPUT: Final = "-"
_OTHERS_MAY_READ: Final = 0o044


@dataclass(frozen=True, slots=True, kw_only=True)
class Credential:
    """`file` None: the environment variable. `source` is for people, and says no secret."""

    file: str | None
    source: str

    async def read(self) -> bytes:
        """Returns the passphrase as it is now.

        Raises:
            UsageError: it can't be read now, or is empty.
        """
        return await trio.to_thread.run_sync(read_passphrase, self.file)

    @property
    def is_open_to_others(self) -> bool:
        """Whether other accounts of this machine may read the file. Blocks on the disk."""
        try:
            return self.file is not None and bool(Path(self.file).stat().st_mode & _OTHERS_MAY_READ)
        except OSError:
            return False


def find_credential(
    file: str | None, environment: Mapping[str, str] = os.environ
) -> Credential | None:
    """Returns where the passphrase is, or None where nobody has left one.

    Args:
        file: --passphrase-file.

    Raises:
        UsageError: standard input can't be read again after each start of the board.
    """
    if file == _STANDARD_INPUT:
        raise UsageError(
            "run reads the passphrase again after each start of the board: give it a file"
        )
    if file is not None:
        return Credential(file=file, source=f"the file {file}")
    if folder := environment.get(ENV_CREDENTIALS):
        given = Path(folder) / CREDENTIAL_NAME
        if given.exists():
            return Credential(file=str(given), source=f"the systemd credential {CREDENTIAL_NAME}")
    if ENV_PASSPHRASE in environment:
        return Credential(file=None, source=f"the variable {ENV_PASSPHRASE}")
    return None
