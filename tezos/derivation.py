"""Secret keys from one seed: EIP-2333 for tz4, HKDF for the other types. Pure; stdlib only.

Owns the mapping from (seed, type, index) to a secret, which may never change: a baker restores keys
with it. Called by `gadget.keychain` in deterministic mode, when a key is made. Keeps nothing; what
Python can't wipe (integers, hash states) lives until the function returns.
Source: EIP-2333 (key derivation), EIP-2334 (what the levels of a path mean), RFC 5869 (HKDF).
"""

import hashlib
import hmac
from typing import Final

from tezos.errors import BadKey
from tezos.keys import KeyType
from tezos.scalars import BLS_ORDER, SECRET_BYTES, is_in_range

__all__ = ["SEED_MIN_BYTES", "derive_child", "derive_master", "derive_secret"]

SEED_MIN_BYTES: Final = 32
_INDEX_LIMIT: Final = 2**32

# Path of a tz4 key: purpose BLS12-381, coin Tezos (SLIP-44), index, use 0.
_PURPOSE: Final = 12381
_COIN: Final = 1729
_USE: Final = 0

# HKDF info for the other types: label, type (3), index u32 big-endian, counter u32 big-endian.
_LABEL: Final = b"tezsign key derivation 1 "
_TRIES: Final = 16


def derive_secret(seed: bytes | bytearray, key_type: KeyType, index: int) -> bytearray:
    """Derives the 32-byte secret that `signers.open_signer` takes.

    Args:
        seed: at least 32 bytes.
        index: 0 to 2**32-1.

    Raises:
        BadKey: seed too short or index out of range.
    """
    if key_type is KeyType.TZ4:
        scalar = derive_master(seed)
        for step in (_PURPOSE, _COIN, index, _USE):
            scalar = derive_child(scalar, step)
        return bytearray(scalar.to_bytes(SECRET_BYTES, "little"))
    return _derive_by_hkdf(seed, key_type, index)


def derive_master(seed: bytes | bytearray) -> int:
    """EIP-2333 `derive_master_SK`. Args: seed: at least 32 bytes. Raises: BadKey."""
    _check_seed(seed)
    return _hkdf_mod_order(bytes(seed))


def derive_child(parent: int, index: int) -> int:
    """EIP-2333 `derive_child_SK`. Args: index: 0 to 2**32-1. Raises: BadKey."""
    _check_index(index)
    return _hkdf_mod_order(_compress_lamport(parent, index))


def _derive_by_hkdf(seed: bytes | bytearray, key_type: KeyType, index: int) -> bytearray:
    _check_seed(seed)
    _check_index(index)
    key = _extract(b"", bytes(seed))
    for counter in range(_TRIES):
        info = _LABEL + key_type.encode() + index.to_bytes(4, "big") + counter.to_bytes(4, "big")
        secret = bytearray(_expand(key, info, SECRET_BYTES))
        if is_in_range(key_type, secret):
            return secret
    raise BadKey(f"{key_type}: no secret in range for index {index}")


def _hkdf_mod_order(material: bytes) -> int:
    salt = b"BLS-SIG-KEYGEN-SALT-"
    while True:  # a second round has a chance of 2**-255
        salt = hashlib.sha256(salt).digest()
        key = _extract(salt, material + b"\0")
        scalar = int.from_bytes(_expand(key, (48).to_bytes(2, "big"), 48), "big") % BLS_ORDER
        if scalar:
            return scalar


def _compress_lamport(parent: int, index: int) -> bytes:
    """EIP-2333 `parent_SK_to_lamport_PK`. Returns 32 bytes."""
    salt = index.to_bytes(4, "big")
    secret = parent.to_bytes(32, "big")
    inverted = bytes(byte ^ 0xFF for byte in secret)
    digest = hashlib.sha256()
    for material in (secret, inverted):
        chunks = _expand(_extract(salt, material), b"", 32 * 255)
        for start in range(0, len(chunks), 32):
            digest.update(hashlib.sha256(chunks[start : start + 32]).digest())
    return digest.digest()


def _extract(salt: bytes, material: bytes) -> bytes:
    return hmac.digest(salt, material, "sha256")


def _expand(key: bytes, info: bytes, size: int) -> bytes:
    output = block = b""
    for counter in range(1, -(-size // 32) + 1):
        block = hmac.digest(key, block + info + bytes((counter,)), "sha256")
        output += block
    return output[:size]


def _check_seed(seed: bytes | bytearray) -> None:
    if len(seed) < SEED_MIN_BYTES:
        raise BadKey(f"seed: expected at least {SEED_MIN_BYTES} bytes, found {len(seed)}")


def _check_index(index: int) -> None:
    if not 0 <= index < _INDEX_LIMIT:
        raise BadKey(f"index: expected 0 to 2**32-1, found {index}")
