"""The changes of the keystore, step by step: make it, add a key, take one out, another passphrase.

Owns the order of the steps on disk. Marks are written before the record that names their key, and
removed after the record that forgets it; memory follows the disk. Never asks for a passphrase.
Everything blocks: `gadget.keychain.keyring` runs it in a thread, under its lock for changes.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import final

from gadget.keychain.admission import Admission, make_verifier
from gadget.keychain.disk import Disk
from gadget.keychain.envelope import KEY_BYTES, NONCE_BYTES, KdfParameters
from gadget.keychain.errors import KeyExists, NewRefused, NotInitialised, NotStored, SignFailed
from gadget.keychain.key_file import MovedKey
from gadget.keychain.key_material import MadeKey, make_key, open_seed, rewrap_dek, seal_seed
from gadget.keychain.keystore import Keystore
from gadget.keychain.keystore_record import KeyEntry, KeystoreRecord, Tombstone
from gadget.keychain.mark_changes import merge_marks
from gadget.keychain.mark_store import create_marks, remove_marks
from gadget.keychain.marks import Marks
from gadget.keychain.secret import Secret
from tezos.derivation import derive_secret
from tezos.errors import BadKey
from tezos.keys import KeyType
from tezos.signers import Signer, create_secret, open_signer

__all__ = ["KeystoreChanges"]


@final
class KeystoreChanges:
    """Args: random_bytes: a source fit for keys."""

    def __init__(
        self,
        disk: Disk,
        keystore: Keystore,
        admission: Admission,
        random_bytes: Callable[[int], bytes],
    ) -> None:
        self._disk = disk
        self._keystore = keystore
        self._admission = admission
        self._random_bytes = random_bytes

    def make_keystore(
        self, kek: Secret, salt: bytes, kdf: KdfParameters, deterministic: bool
    ) -> None:
        """Raises: NotStored: there is none."""
        sealed_seed = None
        if deterministic:
            with Secret(self._random_bytes(KEY_BYTES)) as seed:
                sealed_seed = seal_seed(kek, seed, self._random_bytes(NONCE_BYTES))
        record = KeystoreRecord(
            salt=salt,
            kdf=kdf,
            verifier=make_verifier(kek, salt, kdf, self._random_bytes(NONCE_BYTES)),
            sealed_seed=sealed_seed,
        )
        self._admission.create()
        self._keystore.store(record)

    def make_key(
        self, kek: Secret, key_id: str, key_type: KeyType, *, chain_id: bytes | None, flags: int
    ) -> KeyEntry:
        """Makes secret, marks and record, in this order.

        Raises:
            KeyExists, NewRefused, NotStored, SignFailed: there is no such key.
        """
        try:
            with self._create_secret(kek, key_type) as secret:
                made = make_key(
                    key_id=key_id,
                    signer=open_signer(key_type, secret.reveal()),
                    secret=secret,
                    chain_id=chain_id,
                    flags=flags,
                    kek=kek,
                    random_bytes=self._random_bytes,
                )
        except BadKey as error:
            raise SignFailed(f"no key could be made: {error}") from error
        return self._store_key(made, Marks())

    def adopt_key(self, kek: Secret, key_id: str, signer: Signer, moved: MovedKey) -> KeyEntry:
        """Stores a key of another board.

        Args:
            signer: of the key's secret.

        Raises:
            KeyExists, NewRefused, ChangeRefused, NotStored: there is no such key.
        """
        made = make_key(
            key_id=key_id,
            signer=signer,
            secret=moved.secret,
            chain_id=moved.chain_id,
            flags=moved.flags,
            kek=kek,
            random_bytes=self._random_bytes,
        )
        return self._store_key(made, moved.marks)

    def _create_secret(self, kek: Secret, key_type: KeyType) -> Secret:
        record = self._record()
        if record.sealed_seed is None:
            return Secret(create_secret(key_type, self._random_bytes))
        # The index is used up on disk before a key is made of it.
        index = record.next_index
        self._keystore.store(replace(record, next_index=index + 1))
        with open_seed(kek, record.sealed_seed) as seed:
            return Secret(derive_secret(seed.reveal(), key_type, index))

    def _store_key(self, made: MadeKey, marks: Marks) -> KeyEntry:
        """Args: marks: of another board; they give no right to sign again."""
        record = self._record()
        address = made.entry.public_key.address
        if any(entry.public_key == made.entry.public_key for entry in record.keys):
            raise KeyExists(f"there is a key with the address {address} already")
        marks = merge_marks(_first_marks(record.tombstone_of(address)), marks)
        entry = replace(made.entry, last_level=marks.last_level)
        create_marks(self._disk, address, made.sealer, marks, self._random_bytes)
        stones = tuple(stone for stone in record.tombstones if stone.address != address)
        keys = (*record.keys, entry)
        try:
            self._keystore.store(replace(record, keys=keys, tombstones=stones))
        except NotStored as error:
            if not error.unsettled:
                remove_marks(self._disk, address)
            raise
        return entry

    def forget_key(self, entry: KeyEntry, marks: Marks | None) -> None:
        """Puts a tombstone in the place of a key.

        Args:
            marks: the last ones; None where they can't be read.

        Raises:
            NotStored: the key is still there.
        """
        record = self._record()
        address = entry.public_key.address
        keys = tuple(kept for kept in record.keys if kept.public_key != entry.public_key)
        stones = (*record.tombstones, Tombstone(address=address, marks=marks))
        self._keystore.store(replace(record, keys=keys, tombstones=stones))
        remove_marks(self._disk, address)

    def replace_entry(self, entry: KeyEntry) -> None:
        """Puts another entry in the place of that with the same public key.

        Raises:
            NotStored: it is as it was.
        """
        record = self._record()
        keys = tuple(entry if k.public_key == entry.public_key else k for k in record.keys)
        self._keystore.store(replace(record, keys=keys))

    def change_passphrase(self, kek: Secret, new_kek: Secret, salt: bytes) -> KeystoreRecord:
        """Wraps everything again, in one replacement of the record; secrets and marks stay.

        Returns:
            the new record.

        Raises:
            KeystoreUnusable: a piece does not open, so the new passphrase would not open it either.
            NotStored: it is as it was.
        """
        record = self._record()
        seed = None
        if record.sealed_seed is not None:
            with open_seed(kek, record.sealed_seed) as opened:
                seed = seal_seed(new_kek, opened, self._random_bytes(NONCE_BYTES))
        changed = replace(
            record,
            salt=salt,
            verifier=make_verifier(new_kek, salt, record.kdf, self._random_bytes(NONCE_BYTES)),
            sealed_seed=seed,
            keys=tuple(
                rewrap_dek(kek, new_kek, entry, self._random_bytes(NONCE_BYTES))
                for entry in record.keys
            ),
        )
        self._keystore.store(changed)
        return changed

    def _record(self) -> KeystoreRecord:
        if self._keystore.record is None:
            raise NotInitialised("there is no keystore yet")
        return self._keystore.record


def _first_marks(tombstone: Tombstone | None) -> Marks:
    if tombstone is None:
        return Marks()
    if tombstone.marks is None:
        raise NewRefused(f"the marks of {tombstone.address} were lost: it may have signed anything")
    return merge_marks(Marks(), tombstone.marks)
