"""Key types, public keys, addresses and chain ids. Pure values, and light to import.

Holds no secret and computes no signature: `signers` and `verify` do. Whether bytes are a point of
their curve is asked only where they come from outside (`PublicKey.from_base58`), since that loads
the curves' libraries. Called by every layer above. Source: docs/tezos.md section 2.
"""

import hashlib
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from tezos import base58
from tezos.base58 import Prefix
from tezos.errors import BadEncoding, BadKey

__all__ = [
    "MAINNET",
    "KeyType",
    "PublicKey",
    "address_type",
    "encode_chain_id",
    "parse_chain_id",
]

MAINNET: Final = bytes.fromhex("7a06a770")
_MAINNET_NAME: Final = "mainnet"


class KeyType(StrEnum):
    """The first three characters of an address."""

    TZ1 = "tz1"
    TZ2 = "tz2"
    TZ3 = "tz3"
    TZ4 = "tz4"


_ADDRESS_PREFIX: Final = {
    KeyType.TZ1: Prefix.TZ1,
    KeyType.TZ2: Prefix.TZ2,
    KeyType.TZ3: Prefix.TZ3,
    KeyType.TZ4: Prefix.TZ4,
}
_KEY_PREFIX: Final = {
    KeyType.TZ1: Prefix.EDPK,
    KeyType.TZ2: Prefix.SPPK,
    KeyType.TZ3: Prefix.P2PK,
    KeyType.TZ4: Prefix.BLPK,
}
_TYPE_OF_TEXT: Final = {
    "edpk": KeyType.TZ1,
    "sppk": KeyType.TZ2,
    "p2pk": KeyType.TZ3,
    "BLpk": KeyType.TZ4,
}


@dataclass(frozen=True, kw_only=True, slots=True)
class PublicKey:
    """A public key: 32 bytes (tz1) or a compressed point of 33 (tz2, tz3) or 48 bytes (tz4).

    The constructor checks the size only; use `from_base58` for a key that came from outside.
    """

    type: KeyType
    data: bytes

    def __post_init__(self) -> None:
        expected = _KEY_PREFIX[self.type].payload_size
        if len(self.data) != expected:
            raise BadKey(
                f"{self.type} public key: expected {expected} bytes, found {len(self.data)}"
            )

    @classmethod
    def from_base58(cls, text: str) -> "PublicKey":
        """Reads edpk…, sppk…, p2pk… or BLpk….

        Raises:
            BadEncoding: the text is none of them.
            BadKey: it is not a point of its curve; for tz4: or infinity, or outside the subgroup.
        """
        key_type = _TYPE_OF_TEXT.get(text[:4])
        if key_type is None:
            raise BadEncoding("expected a public key: edpk…, sppk…, p2pk… or BLpk…")
        key = cls(type=key_type, data=base58.decode(_KEY_PREFIX[key_type], text))
        # Here, not above: the host's commands start without loading the curves' libraries.
        from tezos.verify import check_public_key  # noqa: PLC0415

        check_public_key(key)
        return key

    @property
    def base58(self) -> str:
        return base58.encode(_KEY_PREFIX[self.type], self.data)

    @property
    def hash(self) -> bytes:
        """The 20 bytes inside the address: BLAKE2b-160 of the key."""
        return hashlib.blake2b(self.data, digest_size=20).digest()

    @property
    def address(self) -> str:
        return base58.encode(_ADDRESS_PREFIX[self.type], self.hash)


def address_type(address: str) -> KeyType:
    """Checks the whole address, not only its beginning. Raises: BadEncoding."""
    try:
        key_type = KeyType(address[:3])
    except ValueError:
        raise BadEncoding("expected an address: tz1…, tz2…, tz3… or tz4…") from None
    base58.decode(_ADDRESS_PREFIX[key_type], address)
    return key_type


def parse_chain_id(text: str) -> bytes:
    """Args: text: "mainnet" or NetX…. Returns the chain id's 4 bytes. Raises: BadEncoding."""
    return MAINNET if text == _MAINNET_NAME else base58.decode(Prefix.NET, text)


def encode_chain_id(chain_id: bytes) -> str:
    """Returns NetX…, for mainnet too. Raises: BadEncoding unless there are 4 bytes."""
    return base58.encode(Prefix.NET, chain_id)
