"""What a registrar leaves to the next one in systemd's descriptor store: ep0, and the gadget's
connections to the enabled socket. I/O.

So a registrar may be killed or restarted while the device stays on the bus and the gadget in its
session: all that a host sees is a control request that is answered late. When the unit is stopped,
systemd lets go of the store, and the gadget's session ends. `registrar.daemon` takes the
inheritance; who owns a descriptor also stores it (`registrar.daemon`, `registrar.enabled`).
Source: systemd.service(5), FileDescriptorStoreMax=.
"""

import logging
import os
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from registrar.ep0 import REPLY_LIMIT_S, Ep0File, adopt_ep0
from registrar.errors import Ep0Refused
from registrar.notify import StoredDescriptor, remove_stored, store_descriptor, take_stored

__all__ = ["EP0_NAME", "SESSION_NAMES", "Inheritance", "take_inheritance"]

EP0_NAME: Final = "ep0"
# One name each, since systemd lets go of descriptors by their name.
SESSION_NAMES: Final = tuple(f"session-{number}" for number in range(8))

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Inheritance:
    """`ep0` None: none was left, or none that is of use.

    `sessions` are connections to the enabled socket, by their names in the store.
    """

    ep0: Ep0File | None
    sessions: dict[str, socket.socket]


def take_inheritance(ep0_path: Path) -> Inheritance:
    """Takes what is good, closes the rest and makes systemd close it. Call it once, first."""
    ep0: Ep0File | None = None
    sessions: dict[str, socket.socket] = {}
    refused: set[str] = set()
    for stored in take_stored():
        try:
            if stored.name == EP0_NAME and ep0 is None:
                ep0 = adopt_ep0(stored.fd, ep0_path, reply_limit_s=REPLY_LIMIT_S)
                continue
            if stored.name in SESSION_NAMES and stored.name not in sessions:
                sessions[stored.name] = socket.socket(fileno=stored.fd)
                continue
            reason = "expected one descriptor of each known name"
        except (Ep0Refused, OSError) as error:
            reason = str(error)
        _refuse(stored, reason)
        refused.add(stored.name)
    _clean_store(refused, ep0, sessions)
    return Inheritance(ep0=ep0, sessions=sessions)


def _refuse(stored: StoredDescriptor, reason: str) -> None:
    fields = {"descriptor": stored.name, "reason": reason}
    logger.warning("descriptor of an earlier process refused", extra=fields)
    os.close(stored.fd)


def _clean_store(
    refused: set[str], ep0: Ep0File | None, sessions: dict[str, socket.socket]
) -> None:
    """A name that is refused may also be that of a good one, which then has to go in again."""
    for name in refused:
        remove_stored(name)
        if name == EP0_NAME and ep0 is not None:
            store_descriptor(name, ep0.fileno())
        if name in sessions:
            store_descriptor(name, sessions[name].fileno())
