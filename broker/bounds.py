"""How large each part of a message may be, and the checks that the messages' constructors share.

Pure. The checks raise ValueError with the name of the field, never with its value: a value may be
a passphrase or a payload. `broker.codec` turns it into BadMessage where the peer sent the message.
"""

import re
from typing import Final

__all__ = [
    "CHAIN_ID_LIMIT",
    "LEVEL_LIMIT",
    "LOG_BYTES_LIMIT",
    "LOG_LINES_LIMIT",
    "LOG_LINE_LIMIT",
    "check",
    "check_id",
    "check_ids",
    "check_keys",
    "check_number",
    "check_passphrase",
    "check_size",
]

CHAIN_ID_LIMIT: Final = 32  # NetX… has 15 characters
LEVEL_LIMIT: Final = 2**31 - 1  # levels and rounds are signed 32-bit numbers in Tezos
LOG_LINES_LIMIT: Final = 1000
LOG_LINE_LIMIT: Final = 2000
# With 5 bytes of msgpack for each line this stays under the payload limit of a frame.
LOG_BYTES_LIMIT: Final = 200 * 1024

_KEYS_LIMIT: Final = 64
_PASSPHRASE_LIMIT: Final = 1024
_KEY_ID: Final = re.compile(r"[a-z0-9_-]{1,64}\Z")


def check(condition: bool, message: str) -> None:
    if not condition:
        raise ValueError(message)


def check_size(name: str, value: str | bytes | None, limit: int) -> None:
    if value is not None and len(value) > limit:
        raise ValueError(f"{name} is over {limit} long")


def check_passphrase(name: str, value: bytes) -> None:
    check_size(name, value, _PASSPHRASE_LIMIT)


def check_number(name: str, value: int | None, limit: int = LEVEL_LIMIT, *, least: int = 0) -> None:
    if value is not None and not least <= value <= limit:
        raise ValueError(f"{name} is not in {least}..{limit}")


def check_id(key_id: str) -> None:
    check(_KEY_ID.match(key_id) is not None, "a key id is 1 to 64 of a-z 0-9 _ -")


def check_keys(count: int) -> None:
    if count > _KEYS_LIMIT:
        raise ValueError(f"more than {_KEYS_LIMIT} keys in one message")


def check_ids(ids: tuple[str, ...]) -> None:
    check_keys(len(ids))
    for key_id in ids:
        check_id(key_id)
