"""Checks that a request to sign comes from a client that was named beforehand.

Owns the bytes that such a client signs. Knows no HTTP and no device. Called by `remote_signer`.
A signature of a request is good for ever (the protocol has no freshness): it says who asked, not
when.
Source: octez `src/lib_signer_services/signer_messages.ml` (to_sign); docs/tezos.md section 3.

What is signed:
| offset | size | field |
|---|---|---|
| 0 | 1 | 0x04 |
| 1 | 1 | request: 1 sign, 4 prove possession |
| 2 | 1 | type of the key that is asked: 0 tz1, 1 tz2, 2 tz3, 3 tz4 |
| 3 | 20 | its hash |
| 23 | any | the payload; for a proof the 48 bytes of bls_pk |
"""

from collections.abc import Sequence
from enum import IntEnum
from typing import Final

from tezos import base58
from tezos.base58 import Prefix
from tezos.keys import KeyType, PublicKey, address_type

__all__ = ["Authenticator", "RequestTag", "encode_signed_bytes"]

_MAGIC: Final = 0x04
_TAG_AND_PREFIX: Final = {
    KeyType.TZ1: (0, Prefix.TZ1),
    KeyType.TZ2: (1, Prefix.TZ2),
    KeyType.TZ3: (2, Prefix.TZ3),
    KeyType.TZ4: (3, Prefix.TZ4),
}


class RequestTag(IntEnum):
    """What is asked for, as octez numbers it here."""

    SIGN = 1
    PROVE_POSSESSION = 4


def encode_signed_bytes(request: RequestTag, address: str, data: bytes) -> bytes:
    """Args: address: of the key that is asked, not of the one that signs. Raises: BadEncoding."""
    key_tag, prefix = _TAG_AND_PREFIX[address_type(address)]
    return bytes((_MAGIC, request, key_tag)) + base58.decode(prefix, address) + data


class Authenticator:
    """The keys whose owners may ask. One per `tezsign run`."""

    def __init__(self, public_keys: Sequence[str]) -> None:
        """Args: public_keys: edpk…, sppk…, p2pk… or BLpk…. Raises: BadEncoding, BadKey."""
        # Only here: a signer without named clients needs neither library (8 MB), and pyblst's
        # x86-64 wheel dies on a processor without ADX.
        from tezos.verify import decode_signature, verify  # noqa: PLC0415

        self._decode_signature = decode_signature
        self._verify = verify
        self._keys = tuple(PublicKey.from_base58(text) for text in public_keys)
        self.addresses: tuple[str, ...] = tuple(key.address for key in self._keys)

    def is_genuine(self, authentication: str, signed: bytes) -> bool:
        """Says whether `authentication` (edsig…, BLsig…) is a named client's signature of `signed`.

        Raises:
            BadEncoding: it is no signature at all.
        """
        signature = self._decode_signature(authentication)
        return any(
            self._verify(key, signature.data, signed)
            for key in self._keys
            if key.type is signature.type
        )
