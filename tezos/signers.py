"""One signer for each type of key: raw signatures over raw payloads. Signs whatever it is given.

The policy (is this a consensus payload, is it above the watermark?) is `gadget.keychain`'s, which
is also the only caller. Nothing here is stored, logged or verified.
Source: docs/tezos.md section 2; RFC 8032 (tz1), RFC 6979 (tz2, tz3), `tezos.bls` (tz4).

Secrets: a signer keeps what its library needs to sign fast, for tz4 a Python integer, for the
others an OpenSSL key. Neither can be wiped from Python. Dropping the signer frees them (OpenSSL
clears its own), but a copy of the integer may stay in freed memory until that is used again.
"""

import hashlib
from abc import abstractmethod
from collections.abc import Callable
from typing import Final, Protocol

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, utils
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tezos import bls
from tezos.errors import BadKey
from tezos.keys import KeyType, PublicKey
from tezos.scalars import SECP256K1_ORDER, SECRET_BYTES, check_secret, is_in_range

__all__ = ["Signer", "create_secret", "open_signer"]

_TRIES: Final = 128  # one try succeeds with 0.9 or more; a stuck random source must end

# Tells OpenSSL that it gets a digest of 32 bytes, and makes SHA-256 the hash inside RFC 6979.
_ECDSA: Final = ec.ECDSA(utils.Prehashed(hashes.SHA256()), deterministic_signing=True)


class Signer(Protocol):
    """An unlocked key. Its repr shows the address only."""

    @property
    def public_key(self) -> PublicKey: ...

    def sign(self, payload: bytes) -> bytes:
        """Returns 64 bytes, 96 for tz4."""
        ...

    def prove_possession(self, public_key: bytes | None) -> bytes:
        """Returns 96 bytes.

        Args:
            public_key: the 48 bytes to prove over; None: the signer's own.

        Raises:
            BadKey: not a tz4 signer, or `public_key` is not a point of the group.
        """
        ...


def open_signer(key_type: KeyType, secret: bytes | bytearray) -> Signer:
    """Opens a secret of 32 bytes: a seed (tz1), a big- (tz2, tz3) or little-endian (tz4) scalar.

    Raises:
        BadKey: wrong size, zero, or not below the order of the group.
    """
    check_secret(key_type, secret)
    match key_type:
        case KeyType.TZ1:
            return _Ed25519Signer(secret)
        case KeyType.TZ2:
            return _EcdsaSigner(key_type, secret, ec.SECP256K1())
        case KeyType.TZ3:
            return _EcdsaSigner(key_type, secret, ec.SECP256R1())
        case KeyType.TZ4:
            return _BlsSigner(secret)


def create_secret(key_type: KeyType, random_bytes: Callable[[int], bytes]) -> bytearray:
    """Returns a secret that `open_signer` takes, uniform over the range of its type.

    Args:
        random_bytes: a source fit for keys; called with the number of bytes wanted.

    Raises:
        BadKey: the source gave only secrets out of range, so it is broken.
    """
    for _ in range(_TRIES):
        secret = bytearray(random_bytes(SECRET_BYTES))
        if key_type is KeyType.TZ4:
            secret[-1] &= 0x7F  # the order has 255 bits
        if is_in_range(key_type, secret):
            return secret
    raise BadKey(f"{key_type}: no secret in range in {_TRIES} tries")


class _Signer:
    __slots__ = ("public_key",)

    def __init__(self, key_type: KeyType, public_key: bytes) -> None:
        self.public_key = PublicKey(type=key_type, data=public_key)

    def __repr__(self) -> str:
        return f"<signer {self.public_key.address}>"

    @abstractmethod
    def sign(self, payload: bytes) -> bytes: ...

    def prove_possession(self, public_key: bytes | None) -> bytes:  # noqa: ARG002 - tz4 uses it
        raise BadKey(f"{self.public_key.address}: only a tz4 key proves its possession")


class _BlsSigner(_Signer):
    __slots__ = ("_scalar",)

    def __init__(self, secret: bytes | bytearray) -> None:
        self._scalar = int.from_bytes(secret, "little")
        super().__init__(KeyType.TZ4, bls.derive_public_key(self._scalar))

    def sign(self, payload: bytes) -> bytes:
        return bls.sign(self._scalar, payload)

    def prove_possession(self, public_key: bytes | None) -> bytes:
        if public_key is None:
            return bls.prove_possession(self._scalar, self.public_key.data)
        bls.check_public_key(public_key)
        return bls.prove_possession(self._scalar, public_key)


class _Ed25519Signer(_Signer):
    __slots__ = ("_key",)

    def __init__(self, secret: bytes | bytearray) -> None:
        self._key = ed25519.Ed25519PrivateKey.from_private_bytes(secret)
        super().__init__(KeyType.TZ1, self._key.public_key().public_bytes_raw())

    def sign(self, payload: bytes) -> bytes:
        return self._key.sign(_digest(payload))


class _EcdsaSigner(_Signer):
    __slots__ = ("_key", "_wants_low_s")

    def __init__(
        self, key_type: KeyType, secret: bytes | bytearray, curve: ec.EllipticCurve
    ) -> None:
        self._key = ec.derive_private_key(int.from_bytes(secret, "big"), curve)
        # libsecp256k1, so octez, refuses the higher of the two valid s; for P-256 either will do.
        self._wants_low_s = key_type is KeyType.TZ2
        point = self._key.public_key().public_bytes(Encoding.X962, PublicFormat.CompressedPoint)
        super().__init__(key_type, point)

    def sign(self, payload: bytes) -> bytes:
        r, s = utils.decode_dss_signature(self._key.sign(_digest(payload), _ECDSA))
        if self._wants_low_s and s > SECP256K1_ORDER // 2:
            s = SECP256K1_ORDER - s
        return r.to_bytes(32, "big") + s.to_bytes(32, "big")


def _digest(payload: bytes) -> bytes:
    return hashlib.blake2b(payload, digest_size=32).digest()
