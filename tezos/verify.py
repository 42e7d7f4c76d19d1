"""Checks signatures and public keys, and writes signatures down as base58. Holds no secret.

Called by the host (signatures of authorized clients, answers of the board), by
`PublicKey.from_base58` and by tests. Junk gives False or a TezosError, nothing else.
Source: docs/tezos.md section 2.
"""

import hashlib
from dataclasses import dataclass
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, utils

from tezos import base58, bls
from tezos.base58 import Prefix
from tezos.errors import BadEncoding, BadKey
from tezos.keys import KeyType, PublicKey
from tezos.scalars import SECP256K1_ORDER

__all__ = [
    "Signature",
    "check_public_key",
    "decode_signature",
    "encode_signature",
    "verify",
    "verify_possession",
]

_PREFIX: Final = {
    KeyType.TZ1: Prefix.EDSIG,
    KeyType.TZ2: Prefix.SPSIG,
    KeyType.TZ3: Prefix.P2SIG,
    KeyType.TZ4: Prefix.BLSIG,
}
_TYPE_OF_TEXT: Final = {
    "edsig": KeyType.TZ1,
    "spsig": KeyType.TZ2,
    "p2sig": KeyType.TZ3,
    "BLsig": KeyType.TZ4,
}
_CURVES: Final[dict[KeyType, ec.EllipticCurve]] = {
    KeyType.TZ2: ec.SECP256K1(),
    KeyType.TZ3: ec.SECP256R1(),
}
_ECDSA: Final = ec.ECDSA(utils.Prehashed(hashes.SHA256()))


@dataclass(frozen=True, kw_only=True, slots=True)
class Signature:
    """Args: data: 64 bytes, 96 for tz4."""

    type: KeyType
    data: bytes

    def __post_init__(self) -> None:
        expected = _PREFIX[self.type].payload_size
        if len(self.data) != expected:
            raise BadEncoding(
                f"{self.type} signature: expected {expected} bytes, found {len(self.data)}"
            )


def encode_signature(key_type: KeyType, data: bytes) -> str:
    """Returns edsig…, spsig1…, p2sig… or BLsig…. Raises: BadEncoding for a wrong size."""
    return base58.encode(_PREFIX[key_type], data)


def decode_signature(text: str) -> Signature:
    """Reads edsig…, spsig1…, p2sig… or BLsig…. Raises: BadEncoding."""
    key_type = _TYPE_OF_TEXT.get(text[:5])
    if key_type is None:
        raise BadEncoding("expected a signature: edsig…, spsig1…, p2sig… or BLsig…")
    return Signature(type=key_type, data=base58.decode(_PREFIX[key_type], text))


def check_public_key(public_key: PublicKey) -> None:
    """Raises: BadKey unless it is a point of its curve; for tz4: of the subgroup, not infinity."""
    if public_key.type is KeyType.TZ4:
        bls.check_public_key(public_key.data)
    elif public_key.type is not KeyType.TZ1:  # any 32 bytes may be an Ed25519 key
        _read_ec_key(public_key)


def verify(public_key: PublicKey, signature: bytes, payload: bytes) -> bool:
    """Says whether `signature` (raw) is the key's over `payload`.

    Raises:
        BadKey: the public key is none (see `check_public_key`).
    """
    if public_key.type is KeyType.TZ4:
        return bls.verify(public_key.data, signature, payload)
    if len(signature) != 64:
        return False
    digest = hashlib.blake2b(payload, digest_size=32).digest()
    try:
        if public_key.type is KeyType.TZ1:
            ed25519.Ed25519PublicKey.from_public_bytes(public_key.data).verify(signature, digest)
        else:
            _verify_ecdsa(public_key, signature, digest)
    except InvalidSignature:
        return False
    return True


def verify_possession(public_key: PublicKey, proof: bytes, over: PublicKey | None = None) -> bool:
    """Says whether `proof` (96 bytes) was made with the secret of `public_key`.

    Args:
        over: the key whose bytes were signed; None: `public_key` itself.

    Raises:
        BadKey: not a tz4 key, or no valid one.
    """
    signed = public_key if over is None else over
    if public_key.type is not KeyType.TZ4 or signed.type is not KeyType.TZ4:
        raise BadKey(f"{public_key.address}: only a tz4 key proves its possession")
    return bls.verify_possession(public_key.data, proof, signed.data)


def _verify_ecdsa(public_key: PublicKey, signature: bytes, digest: bytes) -> None:
    key = _read_ec_key(public_key)
    r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big")
    if public_key.type is KeyType.TZ2 and s > SECP256K1_ORDER // 2:
        raise InvalidSignature  # as libsecp256k1, so octez, says
    key.verify(utils.encode_dss_signature(r, s), digest, _ECDSA)


def _read_ec_key(public_key: PublicKey) -> ec.EllipticCurvePublicKey:
    try:
        return ec.EllipticCurvePublicKey.from_encoded_point(
            _CURVES[public_key.type], public_key.data
        )
    except ValueError as error:
        raise BadKey(f"{public_key.type} public key: not a point of the curve") from error
