"""A second opinion on tz1, tz2 and tz3 signatures: checking in plain integers. For tests only.

Never imports `tezos` or `cryptography`. Source: RFC 8032 section 5.1.7, SEC 1 version 2 section
4.1.4, and the base58check prefixes of docs/tezos.md.
"""

import hashlib
from typing import Final

from tests.tezos.slow_curves import P256, SECP256K1, Curve, Point, add_points, multiply_point

__all__ = ["decode_base58check", "verify_classic"]

_ALPHABET: Final = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
_PREFIX_BYTES: Final = {
    "BLpk": 4,
    "BLsig": 4,
    "edpk": 4,
    "sppk": 4,
    "p2pk": 4,
    "edsig": 5,
    "spsig1": 5,
    "p2sig": 4,
}
_ED_PRIME: Final = 2**255 - 19
_ED_ORDER: Final = 2**252 + 27742317777372353535851937790883648493
_ED_D: Final = -121665 * pow(121666, -1, _ED_PRIME) % _ED_PRIME
_ED_BASE_Y: Final = 4 * pow(5, -1, _ED_PRIME) % _ED_PRIME


def decode_base58check(text: str) -> bytes:
    """Returns what stands behind the prefix of a public key or signature."""
    number = 0
    for character in text:
        number = number * 58 + _ALPHABET.index(character)
    data = number.to_bytes((number.bit_length() + 7) // 8, "big")
    body, checksum = data[:-4], data[-4:]
    assert hashlib.sha256(hashlib.sha256(body).digest()).digest()[:4] == checksum
    (size,) = (size for prefix, size in _PREFIX_BYTES.items() if text.startswith(prefix))
    return body[size:]


def verify_classic(prefix: str, public_key: bytes, payload: bytes, signature: bytes) -> bool:
    """Checks an edpk, sppk or p2pk signature over the BLAKE2b-256 of the payload."""
    digest = hashlib.blake2b(payload, digest_size=32).digest()
    if prefix == "edpk":
        return _verify_ed25519(public_key, digest, signature)
    return _verify_ecdsa(SECP256K1 if prefix == "sppk" else P256, public_key, digest, signature)


def _verify_ecdsa(curve: Curve, public_key: bytes, digest: bytes, signature: bytes) -> bool:
    r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big")
    inverse = pow(s, -1, curve.order)
    left = multiply_point(curve, curve.base, int.from_bytes(digest, "big") * inverse % curve.order)
    right = multiply_point(curve, _decompress(curve, public_key), r * inverse % curve.order)
    return add_points(curve, left, right)[0] % curve.order == r


def _decompress(curve: Curve, public_key: bytes) -> Point:
    x = int.from_bytes(public_key[1:], "big")
    # b of the curve equation follows from its base point.
    base_x, base_y = curve.base
    b = base_y**2 - base_x**3 - curve.a * base_x
    y = pow(x**3 + curve.a * x + b, (curve.prime + 1) // 4, curve.prime)
    return x, y if y % 2 == public_key[0] % 2 else curve.prime - y


def _verify_ed25519(public_key: bytes, message: bytes, signature: bytes) -> bool:
    commitment, s = signature[:32], int.from_bytes(signature[32:], "little")
    hashed = hashlib.sha512(commitment + public_key + message).digest()
    challenge = int.from_bytes(hashed, "little") % _ED_ORDER
    base = _ed_decode(_ED_BASE_Y.to_bytes(32, "little"))
    left = _ed_multiply(base, s)
    right = _ed_multiply(_ed_decode(public_key), challenge)
    return left == _ed_add(_ed_decode(commitment), right)


def _ed_decode(data: bytes) -> Point:
    number = int.from_bytes(data, "little")
    sign, y = number >> 255, number & (2**255 - 1)
    square = (y * y - 1) * pow(_ED_D * y * y + 1, -1, _ED_PRIME) % _ED_PRIME
    x = pow(square, (_ED_PRIME + 3) // 8, _ED_PRIME)
    if (x * x - square) % _ED_PRIME:
        x = x * pow(2, (_ED_PRIME - 1) // 4, _ED_PRIME) % _ED_PRIME
    assert (x * x - square) % _ED_PRIME == 0
    return (_ED_PRIME - x if x % 2 != sign else x), y


def _ed_multiply(point: Point, scalar: int) -> Point:
    total: Point = (0, 1)
    while scalar:
        if scalar & 1:
            total = _ed_add(total, point)
        point = _ed_add(point, point)
        scalar >>= 1
    return total


def _ed_add(left: Point, right: Point) -> Point:
    cross = _ED_D * left[0] * right[0] * left[1] * right[1]
    x = (left[0] * right[1] + left[1] * right[0]) * pow(1 + cross, -1, _ED_PRIME)
    y = (left[1] * right[1] + left[0] * right[0]) * pow(1 - cross, -1, _ED_PRIME)
    return x % _ED_PRIME, y % _ED_PRIME
