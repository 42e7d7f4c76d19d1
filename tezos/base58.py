"""Base58check of Tezos: prefix, payload, four bytes of checksum. Pure, and light to import.

Owns the prefix table. Never guesses: the caller names the prefix, and payload and text must have
exactly its sizes, which also bounds the work on a hostile text. Called by `keys`, `verify` and the
host's commands.
Source: octez `src/lib_crypto/base58.ml` (prefixes), docs/tezos.md section 2.
"""

from enum import Enum

import base58

from tezos.errors import BadEncoding

__all__ = ["Prefix", "decode", "encode"]


class Prefix(Enum):
    """What a text can be: the bytes before its payload, payload size, number of characters."""

    TZ1 = ("06a19f", 20, 36)
    TZ2 = ("06a1a1", 20, 36)
    TZ3 = ("06a1a4", 20, 36)
    TZ4 = ("06a1a6", 20, 36)
    EDPK = ("0d0f25d9", 32, 54)
    SPPK = ("03fee256", 33, 55)
    P2PK = ("03b28b7f", 33, 55)
    BLPK = ("069587cc", 48, 76)
    EDSIG = ("09f5cd8612", 64, 99)
    SPSIG = ("0d7365133f", 64, 99)
    P2SIG = ("36f02c34", 64, 98)
    BLSIG = ("28ab40cf", 96, 142)
    BLSK = ("0396c028", 32, 54)
    NET = ("575200", 4, 15)

    def __init__(self, prefix_hex: str, payload_size: int, text_size: int) -> None:
        self.prefix_bytes = bytes.fromhex(prefix_hex)
        self.payload_size = payload_size
        self.text_size = text_size


def encode(prefix: Prefix, payload: bytes) -> str:
    """Args: payload: exactly `prefix.payload_size` bytes. Raises: BadEncoding otherwise."""
    if len(payload) != prefix.payload_size:
        raise BadEncoding(
            f"{prefix.name}: expected {prefix.payload_size} bytes, found {len(payload)}"
        )
    return base58.b58encode_check(prefix.prefix_bytes + payload).decode("ascii")


def decode(prefix: Prefix, text: str) -> bytes:
    """Returns the payload, `prefix.payload_size` bytes.

    Raises:
        BadEncoding: it never quotes the text, which may be a secret.
    """
    if len(text) != prefix.text_size:
        raise BadEncoding(
            f"{prefix.name}: expected {prefix.text_size} characters, found {len(text)}"
        )
    try:
        data = base58.b58decode_check(text)
    except ValueError:  # dropped: it can hold the text
        raise BadEncoding(f"{prefix.name}: not base58check") from None
    if data[: -prefix.payload_size] != prefix.prefix_bytes:
        raise BadEncoding(f"{prefix.name}: another kind of text")
    return data[-prefix.payload_size :]
