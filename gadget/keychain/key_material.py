"""One key's envelope: a random data key (DEK) under the passphrase's, the secret under the DEK.

Owns which subkey seals what and what each seal is bound to. Pure but for the random bytes that come
in. Changing the passphrase touches the wrapped DEK only: secret and marks stay as they are.
Called by `gadget.keychain.key` and `keyring`. Source: docs/on-disk.md.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from gadget.keychain.envelope import (
    KEY_BYTES,
    NONCE_BYTES,
    bind,
    derive_subkey,
    open_sealed,
    seal,
)
from gadget.keychain.errors import KeystoreUnusable, NotAuthentic
from gadget.keychain.keystore_record import KeyEntry
from gadget.keychain.mark_record import MarkSealer
from gadget.keychain.secret import Secret
from tezos.errors import BadKey
from tezos.keys import KeyType, PublicKey
from tezos.signers import Signer, open_signer

__all__ = [
    "MadeKey",
    "make_key",
    "open_dek",
    "open_key_signer",
    "open_mark_sealer",
    "open_secret",
    "open_seed",
    "rewrap_dek",
    "seal_seed",
]

RandomBytes = Callable[[int], bytes]

_VERSION: Final = (1).to_bytes(2, "little")


def _context(purpose: bytes, key_id: str, public_key: PublicKey, flags: int) -> bytes:
    """What a seal of one key is bound to: a piece that is moved to another key does not open."""
    return bind(
        purpose,
        _VERSION,
        key_id.encode(),
        public_key.address.encode(),
        public_key.data,
        flags.to_bytes(4, "little"),
    )


def _entry_context(purpose: bytes, entry: KeyEntry) -> bytes:
    return _context(purpose, entry.id, entry.public_key, entry.flags)


@dataclass(frozen=True, slots=True, kw_only=True)
class MadeKey:
    """A key that nothing on disk knows yet."""

    entry: KeyEntry
    sealer: MarkSealer


def make_key(
    *, key_id: str, signer: Signer, secret: Secret, chain_id: bytes | None, flags: int, kek: Secret,
    random_bytes: RandomBytes,
) -> MadeKey:  # fmt: skip
    """Seals a secret whose signer is open already."""
    public_key = signer.public_key
    is_bls = public_key.type is KeyType.TZ4
    with Secret(random_bytes(KEY_BYTES)) as dek:
        with derive_subkey(dek, b"secret") as subkey:
            sealed_secret = seal(
                subkey,
                secret.reveal(),
                context=_context(b"secret", key_id, public_key, flags),
                nonce=random_bytes(NONCE_BYTES),
            )
        wrapped_dek = seal(
            kek,
            dek.reveal(),
            context=_context(b"dek", key_id, public_key, flags),
            nonce=random_bytes(NONCE_BYTES),
        )
        entry = KeyEntry(
            id=key_id,
            public_key=public_key,
            proof=signer.prove_possession(None) if is_bls else None,
            chain_id=chain_id,
            wrapped_dek=wrapped_dek,
            sealed_secret=sealed_secret,
            flags=flags,
        )
        return MadeKey(entry=entry, sealer=open_mark_sealer(dek, entry))


def open_dek(kek: Secret, entry: KeyEntry) -> Secret:
    """Raises: KeystoreUnusable: damaged, though the passphrase is right."""
    try:
        return open_sealed(kek, entry.wrapped_dek, context=_entry_context(b"dek", entry))
    except NotAuthentic as error:
        raise KeystoreUnusable(f"the key {entry.id} does not open: damaged") from error


def rewrap_dek(kek: Secret, new_kek: Secret, entry: KeyEntry, nonce: bytes) -> KeyEntry:
    """Returns the entry under another passphrase. Raises: KeystoreUnusable: damaged."""
    with open_dek(kek, entry) as dek:
        wrapped = seal(new_kek, dek.reveal(), context=_entry_context(b"dek", entry), nonce=nonce)
    return replace(entry, wrapped_dek=wrapped)


def open_secret(dek: Secret, entry: KeyEntry) -> Secret:
    """Raises: KeystoreUnusable: damaged."""
    try:
        with derive_subkey(dek, b"secret") as subkey:
            return open_sealed(
                subkey, entry.sealed_secret, context=_entry_context(b"secret", entry)
            )
    except NotAuthentic as error:
        raise KeystoreUnusable(f"the secret of {entry.id} does not open: damaged") from error


def open_key_signer(dek: Secret, entry: KeyEntry) -> Signer:
    """Raises: KeystoreUnusable: damaged, or it is the secret of another public key."""
    try:
        with open_secret(dek, entry) as secret:
            signer = open_signer(entry.public_key.type, secret.reveal())
    except BadKey as error:
        raise KeystoreUnusable(f"the secret of {entry.id} does not open: damaged") from error
    if signer.public_key != entry.public_key:
        raise KeystoreUnusable(f"the secret of {entry.id} belongs to another public key")
    return signer


def open_mark_sealer(dek: Secret, entry: KeyEntry) -> MarkSealer:
    """Returns what seals and opens this key's marks; it stays good after the DEK is wiped."""
    with derive_subkey(dek, b"marks") as subkey:
        return MarkSealer(subkey, _entry_context(b"marks", entry))


def seal_seed(kek: Secret, seed: Secret, nonce: bytes) -> bytes:
    return seal(kek, seed.reveal(), context=bind(b"seed", _VERSION), nonce=nonce)


def open_seed(kek: Secret, sealed: bytes) -> Secret:
    """Raises: KeystoreUnusable: damaged, though the passphrase is right."""
    try:
        return open_sealed(kek, sealed, context=bind(b"seed", _VERSION))
    except NotAuthentic as error:
        raise KeystoreUnusable("the seed does not open: damaged") from error
