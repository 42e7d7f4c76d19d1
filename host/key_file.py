"""The file of a key that moves to another board: what `export_key` sealed, as JSON. Pure.

The host can't read what is in it; the address beside it is for people. Called by
`host.commands.key_files`.
"""

import base64
import binascii
import json

from broker.transfer_messages import SEALED_LIMIT_BYTES
from host.errors import UsageError

__all__ = ["KEY_FILE_LIMIT_BYTES", "encode_key_file", "parse_key_file"]

KEY_FILE_LIMIT_BYTES = 64 * 1024
_VERSION = 1


def encode_key_file(pkh: str, sealed: bytes) -> str:
    content = {
        "tezsign_key": _VERSION,
        "address": pkh,
        "sealed": base64.b64encode(sealed).decode(),
    }
    return json.dumps(content, indent=2) + "\n"


def parse_key_file(text: bytes) -> bytes:
    """Returns what the board sealed. Raises: UsageError: this is no such file."""
    try:
        content = json.loads(text)
        if content["tezsign_key"] != _VERSION:
            raise UsageError("the file is of another version of tezsign")
        sealed = base64.b64decode(content["sealed"], validate=True)
    except (ValueError, KeyError, TypeError, RecursionError, binascii.Error) as error:
        raise UsageError("this is no file with a key of `tezsign advanced keys export`") from error
    if len(sealed) > SEALED_LIMIT_BYTES:
        raise UsageError("the file is too large to hold one key")
    return sealed
