"""BLS12-381 as Tezos uses it: keys in G1, signatures in G2. The only file that imports pyblst.

Takes the secret as an integer, keeps nothing, knows no key types. Called by `signers` and `verify`.
Source: draft-irtf-cfrg-bls-signature-05, proof-of-possession scheme; octez
`src/lib_bls12_381_signature`.

What pyblst 0.3.15 does, from its source and our tests: `uncompress` refuses points off the curve or
outside the subgroup but accepts infinity; `scalar_mul` is exact for every scalar (it is reduced
modulo the order first); it never lets go of the interpreter lock. blst's multiplication is written
without secret-dependent branches or addresses; the conversion from a Python integer before it is
not. Copies of the scalar made on the way (Python integer, Rust big integer) are freed unwiped.
"""

from typing import Final

from pyblst import BlstP1Element, BlstP2Element, final_verify, miller_loop

from tezos.errors import BadKey

__all__ = [
    "check_public_key",
    "derive_public_key",
    "prove_possession",
    "sign",
    "verify",
    "verify_possession",
]

_SIGN_TAG: Final = b"BLS_SIG_BLS12381G2_XMD:SHA-256_SSWU_RO_POP_"
_POSSESSION_TAG: Final = b"BLS_POP_BLS12381G2_XMD:SHA-256_SSWU_RO_POP_"
_INFINITY: Final = 0x40  # flag in the first byte of a compressed point

# Source: draft-irtf-cfrg-pairing-friendly-curves-10, section 4.2.1 (compressed).
_GENERATOR: Final = BlstP1Element.uncompress(
    bytes.fromhex(
        "97f1d3a73197d7942695638c4fa9ac0fc3688c4f9774b905"
        "a14e3a3f171bac586c55e83ff97a1aeffb3af00adb22c6bb"
    )
)


def derive_public_key(scalar: int) -> bytes:
    return _GENERATOR.scalar_mul(scalar).compress()


def check_public_key(public_key: bytes) -> None:
    """Raises: BadKey unless this is a point of G1's subgroup, and not infinity."""
    _read_public_key(public_key)


def sign(scalar: int, payload: bytes) -> bytes:
    """Returns 96 bytes. Nothing is hashed first, no public key is put before the payload."""
    return BlstP2Element.hash_to_group(payload, _SIGN_TAG).scalar_mul(scalar).compress()


def verify(public_key: bytes, signature: bytes, payload: bytes) -> bool:
    """Raises: BadKey for a public key that `check_public_key` refuses."""
    return _verify(public_key, signature, payload, _SIGN_TAG)


def prove_possession(scalar: int, public_key: bytes) -> bytes:
    """Args: public_key: 48 bytes, the signer's own or the one that the proof is asked over."""
    return BlstP2Element.hash_to_group(public_key, _POSSESSION_TAG).scalar_mul(scalar).compress()


def verify_possession(public_key: bytes, proof: bytes, over: bytes) -> bool:
    """Args: over: the 48 bytes that the proof signs. Raises: BadKey, as `verify`."""
    return _verify(public_key, proof, over, _POSSESSION_TAG)


def _read_public_key(data: bytes) -> BlstP1Element:
    try:
        point = BlstP1Element.uncompress(data)
    except ValueError as error:
        raise BadKey("tz4 public key: not a point of the group") from error
    if data[0] & _INFINITY:
        raise BadKey("tz4 public key: the point at infinity")
    return point


def _verify(public_key: bytes, signature: bytes, message: bytes, tag: bytes) -> bool:
    key = _read_public_key(public_key)
    try:
        point = BlstP2Element.uncompress(signature)  # may be infinity, which no key ever signs
    except ValueError:
        return False
    hashed = BlstP2Element.hash_to_group(message, tag)
    return final_verify(miller_loop(_GENERATOR, point), miller_loop(key, hashed))
