"""Which 32 bytes are a secret key of each type. Pure, and light to import.

Knows numbers only: `signers` opens secrets, `derivation` makes them. Source: SEC 2 version 2,
sections 2.4.1 (tz2), 2.4.2 (tz3); draft-irtf-cfrg-pairing-friendly-curves-10, section 4.2.1 (tz4).
"""

from typing import Final

from tezos.errors import BadKey
from tezos.keys import KeyType

__all__ = ["BLS_ORDER", "SECP256K1_ORDER", "SECRET_BYTES", "check_secret", "is_in_range"]

SECRET_BYTES: Final = 32
SECP256K1_ORDER: Final = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
BLS_ORDER: Final = 0x73EDA753299D7D483339D80809A1D80553BDA402FFFE5BFEFFFFFFFF00000001
_P256_ORDER: Final = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551

_LIMITS: Final = {
    KeyType.TZ1: 2**256,  # a seed: any 32 bytes, but zero means that it was wiped
    KeyType.TZ2: SECP256K1_ORDER,
    KeyType.TZ3: _P256_ORDER,
    KeyType.TZ4: BLS_ORDER,
}


def is_in_range(key_type: KeyType, secret: bytes | bytearray) -> bool:
    """Args: secret: 32 bytes, little-endian for tz4, big-endian for the others."""
    scalar = int.from_bytes(secret, "little" if key_type is KeyType.TZ4 else "big")
    return 0 < scalar < _LIMITS[key_type]


def check_secret(key_type: KeyType, secret: bytes | bytearray) -> None:
    """Raises: BadKey for a wrong size, zero, or a number not below the order of the group."""
    if len(secret) != SECRET_BYTES:
        raise BadKey(f"{key_type} secret: expected {SECRET_BYTES} bytes, found {len(secret)}")
    if not is_in_range(key_type, secret):
        raise BadKey(f"{key_type} secret: out of range")
