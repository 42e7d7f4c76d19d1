"""A key that comes from another board: the host's file, and what the board finds sealed in it.

UsageError or bytes that a request may carry; KeyFileRefused or exactly the bytes that are written.
What begins neither like the one nor like the other is sealed as the key's body.
"""

import json
from collections.abc import Iterator
from typing import Final

from broker.messages import ImportKeyRequest
from gadget.keychain.envelope import PRODUCTION_KDF, bind, open_sealed, seal
from gadget.keychain.errors import KeyFileRefused
from gadget.keychain.key_file import (
    MovedKey,
    decode_header,
    decode_key,
    encode_header,
    encode_key,
)
from gadget.keychain.keystore_record import EXPORTABLE
from gadget.keychain.mark_changes import set_level
from gadget.keychain.marks import Marks
from gadget.keychain.secret import Secret
from host.errors import UsageError
from host.key_file import encode_key_file, parse_key_file
from tezos.keys import MAINNET, KeyType

__all__ = ["one_input", "seeds"]

_MAGIC: Final = b"TZSEXPRT"
_HEADER: Final = encode_header(PRODUCTION_KDF, b"s" * 16)
_CONTEXT: Final = bind(b"export", _HEADER)
_KEK: Final = Secret(b"k" * 32)
_NONCE: Final = b"n" * 12
_NONCE_AT: Final = len(_HEADER)


def one_input(data: bytes) -> None:
    _check_host(data)
    if data.startswith(_MAGIC):
        _check_board(data)
    else:
        _check_board(_HEADER + seal(_KEK, data, context=_CONTEXT, nonce=_NONCE))


def _check_host(text: bytes) -> None:
    try:
        sealed = parse_key_file(text)
    except UsageError:
        return
    ImportKeyRequest(passphrase=b"", id=None, file_passphrase=b"", sealed=sealed)
    assert parse_key_file(encode_key_file("tz4", sealed).encode()) == sealed


def _check_board(data: bytes) -> None:
    try:
        kdf, salt = decode_header(data)
        moved = decode_key(data, _KEK)
    except KeyFileRefused:
        return
    nonce = data[_NONCE_AT : _NONCE_AT + len(_NONCE)]
    assert encode_key(moved, encode_header(kdf, salt), _KEK, nonce) == data


def seeds() -> Iterator[bytes]:
    for marks in (Marks(), set_level(Marks(last_level=9), MAINNET, 7)):
        moved = MovedKey(
            id="baker",
            key_type=KeyType.TZ4,
            flags=EXPORTABLE,
            chain_id=MAINNET,
            secret=Secret(bytes(range(32))),
            marks=marks,
        )
        written = encode_key(moved, _HEADER, _KEK, _NONCE)
        yield written
        yield encode_key_file("tz4", written).encode()
        with open_sealed(_KEK, written[_NONCE_AT:], context=_CONTEXT) as body:
            yield bytes(body.reveal())
    yield json.dumps({"tezsign_key": 1, "sealed": "A" * 5600}).encode()
    yield b"[" * 2000
