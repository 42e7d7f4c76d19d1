"""Where the registrar finds things and whom it trusts. Read once from the environment."""

import os
import pwd
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from broker.contract import ENABLED_SOCKET, READY_SOCKET
from registrar.errors import BadSetting

__all__ = ["Settings", "settings_from"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Places and trusted accounts.

    Args:
        functionfs: the FunctionFS mount, which has ep0.
        run: the folder of the local sockets.
        allowed_uids: who may use the enabled socket and serve the ready socket.
    """

    functionfs: Path
    run: Path
    allowed_uids: frozenset[int]

    @property
    def enabled_socket(self) -> Path:
        return self.run / Path(ENABLED_SOCKET).name

    @property
    def ready_socket(self) -> Path:
        return self.run / Path(READY_SOCKET).name

    @property
    def attach_socket(self) -> Path:
        """Served by attach-gadget, which has the rights to bind the controller."""
        return self.run / "attach.sock"


def settings_from(environment: Mapping[str, str]) -> Settings:
    """Takes TEZSIGN_FFS, TEZSIGN_RUN and TEZSIGN_GADGET_USER.

    The last names the account of the gadget, which is trusted beside root and ourselves; empty =
    nobody else.

    Raises:
        BadSetting: there is no such account.
    """
    uids = {0, os.getuid()}
    gadget_user = environment.get("TEZSIGN_GADGET_USER", "")
    if gadget_user:
        uids.add(_find_uid(gadget_user))
    return Settings(
        functionfs=Path(environment.get("TEZSIGN_FFS", "/dev/ffs/tezsign")),
        run=Path(environment.get("TEZSIGN_RUN", str(Path(ENABLED_SOCKET).parent))),
        allowed_uids=frozenset(uids),
    )


def _find_uid(user: str) -> int:
    try:
        return pwd.getpwnam(user).pw_uid
    except KeyError as error:
        raise BadSetting(f"TEZSIGN_GADGET_USER: expected an account, found {user!r}") from error
