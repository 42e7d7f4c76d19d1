"""What the `tezsign` command is told: where `run` listens and whom it serves. Values only.

Owns the check of addresses and the names of environment variables. Reads nothing itself, except
through the arguments it is given. Used by the commands.
"""

import ipaddress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

__all__ = [
    "DEFAULT_LISTEN",
    "ENV_DEBUG",
    "ENV_PASSPHRASE",
    "ENV_UNLOCK_KEYS",
    "ListenAddress",
    "RunSettings",
    "parse_listen",
]

ENV_PASSPHRASE: Final = "TEZSIGN_UNLOCK_PASS"  # noqa: S105 - its name
ENV_UNLOCK_KEYS: Final = "TEZSIGN_UNLOCK_KEYS"
ENV_DEBUG: Final = "TEZSIGN_DEBUG"
DEFAULT_LISTEN: Final = "127.0.0.1:20090"
_LOOPBACK_NAME: Final = "localhost"


@dataclass(frozen=True, slots=True, kw_only=True)
class ListenAddress:
    """`host` is an IP address, never a name: what is listened on must not depend on a resolver."""

    host: str
    port: int

    def __post_init__(self) -> None:
        ipaddress.ip_address(self.host)
        if not 0 <= self.port <= 65_535:
            raise ValueError(f"a port is 0 to 65535, not {self.port}")

    @property
    def is_loopback(self) -> bool:
        return ipaddress.ip_address(self.host).is_loopback

    @property
    def url(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}"


def parse_listen(text: str) -> ListenAddress:
    """Reads `ADDRESS:PORT`; an IPv6 address stands in brackets, `localhost` is 127.0.0.1.

    Raises: ValueError with a sentence for the person who typed it.
    """
    host, colon, port = text.rpartition(":")
    if not colon or not port.isascii() or not port.isdigit() or int(port) > 65_535:
        raise ValueError(f"expected ADDRESS:PORT, for example {DEFAULT_LISTEN}, not {text!r}")
    if host == _LOOPBACK_NAME:
        host = "127.0.0.1"
    bracketed = host.startswith("[") and host.endswith("]")
    try:
        address = ipaddress.ip_address(host[1:-1] if bracketed else host)
    except ValueError:
        raise ValueError(f"expected an IP address to listen on, not {host!r}") from None
    if bracketed != (address.version == 6):
        raise ValueError(f"write an IPv6 address in brackets, for example [::1]:{port}")
    return ListenAddress(host=str(address), port=int(port))


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSettings:
    """What `tezsign run` was asked for. `aliases` empty = every key; `authorized_keys`: edpk…,
    BLpk…; `unlock_ids`: the keys to unlock without a person, empty = those that are served;
    `witness_file`: where what was signed is written down; `metrics`: where the pages for monitoring
    are, None = nowhere.

    An address that other machines reach needs requests that are signed, or `allow_remote`.
    """

    listen: ListenAddress
    witness_file: Path
    aliases: tuple[str, ...] = ()
    authorized_keys: tuple[str, ...] = ()
    allow_remote: bool = False
    unlock_ids: tuple[str, ...] = ()
    metrics: ListenAddress | None = None

    def __post_init__(self) -> None:
        if not (self.listen.is_loopback or self.authorized_keys or self.allow_remote):
            raise ValueError(
                f"other machines can reach {self.listen.host}: name the clients with"
                " --authorized-key, or say --allow-remote to sign for anyone who can connect"
            )
