"""A second opinion on tz1, tz2 and tz3: signing in plain integers. For tests only: it leaks timing.

Never imports `tezos` or `cryptography`. Source: RFC 8032 section 5.1 (Ed25519), RFC 6979 section
3.2 (the nonce), SEC 1 version 2 section 4.1.3 (ECDSA), SEC 2 version 2 (parameters).
"""

import hashlib
import hmac
from dataclasses import dataclass
from typing import Final

__all__ = [
    "P256",
    "SECP256K1",
    "Curve",
    "Point",
    "add_points",
    "ecdsa_public_key",
    "ecdsa_sign",
    "ed25519_sign",
    "multiply_point",
]

Point = tuple[int, int]


@dataclass(frozen=True, kw_only=True, slots=True)
class Curve:
    """y² = x³ + ax + b over the integers modulo `prime`; b is never needed."""

    prime: int
    a: int
    order: int
    base: Point


SECP256K1: Final = Curve(
    prime=2**256 - 2**32 - 977,
    a=0,
    order=0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141,
    base=(
        0x79BE667EF9DCBBAC55A06295CE870B07029BFCDB2DCE28D959F2815B16F81798,
        0x483ADA7726A3C4655DA4FBFC0E1108A8FD17B448A68554199C47D08FFB10D4B8,
    ),
)
P256: Final = Curve(
    prime=2**256 - 2**224 + 2**192 + 2**96 - 1,
    a=-3,
    order=0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551,
    base=(
        0x6B17D1F2E12C4247F8BCE6E563A440F277037D812DEB33A0F4A13945D898C296,
        0x4FE342E2FE1A7F9B8EE7EB4A7C0F9E162BCE33576B315ECECBB6406837BF51F5,
    ),
)


def ecdsa_public_key(curve: Curve, secret: bytes) -> bytes:
    x, y = multiply_point(curve, curve.base, int.from_bytes(secret, "big"))
    return bytes((2 + y % 2,)) + x.to_bytes(32, "big")


def ecdsa_sign(curve: Curve, secret: bytes, digest: bytes) -> tuple[int, int]:
    """Returns r and s, s as it comes out (it may be the higher one)."""
    nonce = _nonce(curve.order, secret, digest)
    r = multiply_point(curve, curve.base, nonce)[0] % curve.order
    total = int.from_bytes(digest, "big") + r * int.from_bytes(secret, "big")
    return r, total * pow(nonce, -1, curve.order) % curve.order


def multiply_point(curve: Curve, point: Point, scalar: int) -> Point:
    total: Point | None = None
    power = point
    while scalar:
        if scalar & 1:
            total = power if total is None else add_points(curve, total, power)
        power = add_points(curve, power, power)
        scalar >>= 1
    assert total is not None
    return total


def add_points(curve: Curve, left: Point, right: Point) -> Point:
    if left == right:
        slope = (3 * left[0] ** 2 + curve.a) * pow(2 * left[1], -1, curve.prime)
    else:
        slope = (right[1] - left[1]) * pow(right[0] - left[0], -1, curve.prime)
    x = (slope**2 - left[0] - right[0]) % curve.prime
    return x, (slope * (left[0] - x) - left[1]) % curve.prime


def _nonce(order: int, secret: bytes, digest: bytes) -> int:
    seed = secret + (int.from_bytes(digest, "big") % order).to_bytes(32, "big")
    value, key = b"\1" * 32, b"\0" * 32
    for step in (b"\0", b"\1"):
        key = hmac.digest(key, value + step + seed, "sha256")
        value = hmac.digest(key, value, "sha256")
    while True:
        value = hmac.digest(key, value, "sha256")
        if 0 < int.from_bytes(value, "big") < order:
            return int.from_bytes(value, "big")
        key = hmac.digest(key, value + b"\0", "sha256")
        value = hmac.digest(key, value, "sha256")


_ED_PRIME: Final = 2**255 - 19
_ED_ORDER: Final = 2**252 + 27742317777372353535851937790883648493
_ED_D: Final = -121665 * pow(121666, -1, _ED_PRIME) % _ED_PRIME
_ED_BASE: Final = (
    15112221349535400772501151409588531511454012693041857206046113283949847762202,
    4 * pow(5, -1, _ED_PRIME) % _ED_PRIME,
)


def ed25519_sign(seed: bytes, message: bytes) -> tuple[bytes, bytes]:
    """Returns the public key and the signature."""
    hashed = hashlib.sha512(seed).digest()
    scalar = (int.from_bytes(hashed[:32], "little") & (2**254 - 8)) | 2**254
    public_key = _ed_multiply(scalar)
    nonce = _ed_hash(hashed[32:], message)
    commitment = _ed_multiply(nonce)
    s = (nonce + _ed_hash(commitment, public_key, message) * scalar) % _ED_ORDER
    return public_key, commitment + s.to_bytes(32, "little")


def _ed_hash(*parts: bytes) -> int:
    return int.from_bytes(hashlib.sha512(b"".join(parts)).digest(), "little") % _ED_ORDER


def _ed_multiply(scalar: int) -> bytes:
    total, power = (0, 1), _ED_BASE
    while scalar:
        if scalar & 1:
            total = _ed_add(total, power)
        power = _ed_add(power, power)
        scalar >>= 1
    return (total[1] | (total[0] & 1) << 255).to_bytes(32, "little")


def _ed_add(left: Point, right: Point) -> Point:
    cross = _ED_D * left[0] * right[0] * left[1] * right[1]
    x = (left[0] * right[1] + left[1] * right[0]) * pow(1 + cross, -1, _ED_PRIME)
    y = (left[1] * right[1] + left[0] * right[0]) * pow(1 - cross, -1, _ED_PRIME)
    return x % _ED_PRIME, y % _ED_PRIME
