"""Passphrase to key, and sealing with it: Argon2id, HKDF-SHA256, AES-256-GCM. Pure.

Knows no file and no randomness: nonces come in. A sealed piece is nonce (12) ‖ ciphertext ‖
tag (16), and opens only with the key and the context that it was sealed with. Called by
`gadget.keychain.key_material`, `admission` and `mark_record`. Source: RFC 9106, RFC 5869,
NIST SP 800-38D; docs/on-disk.md lists the contexts.
"""

from dataclasses import dataclass
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from gadget.keychain.errors import NotAuthentic
from gadget.keychain.secret import Secret

__all__ = [
    "KEY_BYTES",
    "NONCE_BYTES",
    "PRODUCTION_KDF",
    "SALT_BYTES",
    "SEAL_BYTES",
    "KdfParameters",
    "bind",
    "derive_kek",
    "derive_subkey",
    "open_sealed",
    "seal",
]

KEY_BYTES: Final = 32
SALT_BYTES: Final = 16
NONCE_BYTES: Final = 12
TAG_BYTES: Final = 16
SEAL_BYTES: Final = NONCE_BYTES + TAG_BYTES

# Whatever a record says, no more than this is ever tried: the board has 512 MiB.
_ITERATIONS_LIMIT: Final = 16
_MEMORY_LIMIT_KIB: Final = 256 * 1024
_LANES_LIMIT: Final = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class KdfParameters:
    """What Argon2id is to cost; 8 KiB for each lane is its own least amount of memory."""

    iterations: int
    memory_kib: int
    lanes: int

    def __post_init__(self) -> None:
        if not 1 <= self.iterations <= _ITERATIONS_LIMIT:
            raise ValueError(f"iterations: expected 1 to {_ITERATIONS_LIMIT}")
        if not 1 <= self.lanes <= _LANES_LIMIT:
            raise ValueError(f"lanes: expected 1 to {_LANES_LIMIT}")
        if not 8 * self.lanes <= self.memory_kib <= _MEMORY_LIMIT_KIB:
            raise ValueError(f"memory: expected at most {_MEMORY_LIMIT_KIB} KiB, 8 for each lane")


PRODUCTION_KDF: Final = KdfParameters(iterations=3, memory_kib=64 * 1024, lanes=4)


def derive_kek(passphrase: Secret, salt: bytes, parameters: KdfParameters) -> Secret:
    """Derives the key-encryption key. Takes a second and more on a board: run it in a thread."""
    argon = Argon2id(
        salt=salt,
        length=KEY_BYTES,
        iterations=parameters.iterations,
        lanes=parameters.lanes,
        memory_cost=parameters.memory_kib,
    )
    # Any buffer will do, whatever the stub says; bytes would be a copy that can't be wiped.
    return Secret(argon.derive(passphrase.reveal()))  # type: ignore[arg-type]


def derive_subkey(key: Secret, purpose: bytes) -> Secret:
    """Derives a key that is good for one purpose only."""
    hkdf = HKDF(algorithm=SHA256(), length=KEY_BYTES, salt=None, info=purpose)
    return Secret(hkdf.derive(key.reveal()))


def bind(purpose: bytes, *fields: bytes) -> bytes:
    """Returns a context: the purpose and each field after its length, so that none can shift."""
    return b"".join(
        len(field).to_bytes(2, "little") + field for field in (b"tezsign", purpose, *fields)
    )


def seal(key: Secret, plaintext: bytes | bytearray, *, context: bytes, nonce: bytes) -> bytes:
    """Args: nonce: 12 random bytes, never used twice with one key."""
    return nonce + AESGCM(key.reveal()).encrypt(nonce, plaintext, context)


def open_sealed(key: Secret, sealed: bytes, *, context: bytes) -> Secret:
    """Raises: NotAuthentic: another key, another context, or changed bytes."""
    if len(sealed) < SEAL_BYTES:
        raise NotAuthentic("sealed bytes are too short")
    try:
        opened = AESGCM(key.reveal()).decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], context)
    except InvalidTag:
        raise NotAuthentic("sealed bytes do not open") from None
    return Secret(opened)
