"""Accounts of the board, from `builder/assets/sysusers.conf`: everybody locked, nobody with a
shell. Pure.

The numbers are fixed, since files in /data belong to them and outlive every update.
"""

import shlex
from collections.abc import Mapping
from typing import Final

from image.errors import BuildFailed

__all__ = ["NUMBERS", "encode_accounts"]

NUMBERS: Final = {"tezsign": 990, "registrar": 991}
_JOURNAL_GROUP: Final = "systemd-journal:x:989:\n"
_NOWHERE: Final = "/nonexistent"


def encode_accounts(sysusers: str) -> Mapping[str, str]:
    """Returns the text of passwd, group, shadow and gshadow.

    Args: sysusers: lines `g NAME -` and `u NAME -:GROUP "comment" FOLDER`, see sysusers.d(5).
    """
    users = {"root": "root:x:0:0:root:/root:/nonexistent\n"}
    groups = {"root": "root:x:0:\n", "systemd-journal": _JOURNAL_GROUP}
    for words in (shlex.split(line, comments=True) for line in sysusers.splitlines()):
        match words:
            case []:
                continue
            case ["g", name, "-", *_]:
                groups[name] = f"{name}:x:{NUMBERS[name]}:\n"
            case ["u", name, number, comment, home] if number.startswith("-:"):
                group = NUMBERS[number.removeprefix("-:")]
                users[name] = f"{name}:x:{NUMBERS[name]}:{group}:{comment}:{home}:{_NOWHERE}\n"
            case _:
                raise BuildFailed(f"sysusers.conf has a line of an unknown kind: {words}")
    users["nobody"] = f"nobody:x:65534:65534:nobody:/:{_NOWHERE}\n"
    groups["nogroup"] = "nogroup:x:65534:\n"
    return {
        "passwd": "".join(users.values()),
        "group": "".join(groups.values()),
        # "!*": no password matches, and the account is locked; 1: a day, which never expires.
        "shadow": "".join(f"{name}:!*:1::::::\n" for name in users),
        "gshadow": "".join(f"{name}:!*::\n" for name in groups),
    }
