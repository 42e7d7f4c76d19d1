"""Keys that leave the board and keys that come in: `keyring.transfer`.

Owns the order that promise 1 rests on: a key is retired where it stands, durably in marks and
record, before its secret is sealed for the way. A key that comes in brings its marks, and they are
merged with what this board knows of it. Called by `gadget.rpc`. Source: docs/failover.md.
"""

import logging
from collections.abc import Callable
from dataclasses import replace
from typing import Protocol, final

import trio

from broker.messages import KeyStatus
from gadget.keychain.admission import Admission
from gadget.keychain.changes import KeystoreChanges
from gadget.keychain.envelope import NONCE_BYTES, SALT_BYTES, KdfParameters
from gadget.keychain.errors import KeyFileRefused, NotExportable, Operation
from gadget.keychain.failover import KeyChanging, chain_of
from gadget.keychain.key import Key
from gadget.keychain.key_file import (
    MovedKey,
    decode_header,
    decode_key,
    encode_header,
    encode_key,
)
from gadget.keychain.keystore_record import KeyEntry
from gadget.keychain.mark_changes import close_marks, merge_marks
from gadget.keychain.marks import Marks
from gadget.keychain.secret import Secret
from tezos.errors import BadKey
from tezos.signers import open_signer

__all__ = ["KeyTransfer"]

logger = logging.getLogger(__name__)


class _KeyTaking(KeyChanging, Protocol):
    """What `Keyring` offers to whoever adds keys."""

    def at(self, address: str) -> Key | None: ...

    def check_new(self, key_id: str) -> None: ...

    def add(self, entry: KeyEntry) -> Key: ...


@final
class KeyTransfer:
    """Args: kdf: what a file's passphrase costs. random_bytes: a source fit for keys."""

    def __init__(
        self,
        keyring: _KeyTaking,
        changes: KeystoreChanges,
        admission: Admission,
        *,
        kdf: KdfParameters,
        random_bytes: Callable[[int], bytes],
    ) -> None:
        self._keyring = keyring
        self._changes = changes
        self._admission = admission
        self._kdf = kdf
        self._random_bytes = random_bytes

    async def export_key(
        self, passphrase: Secret, key_id: str, file_passphrase: Secret
    ) -> tuple[str, bytes]:
        """Retires a key where it stands, and seals it for another board.

        Returns:
            its address, and the file. It may be asked for again; the key stays retired.

        Raises:
            KeychainError: nothing has left. The key may be retired all the same.
        """
        async with self._keyring.changing(Operation.EXPORT_KEY, passphrase) as kek:
            key = self._keyring.named(key_id)
            if not key.entry.is_exportable:
                raise NotExportable(f"the key {key_id} was not made with --exportable")
            salt = self._random_bytes(SALT_BYTES)
            # Before anything is changed: it is what may go wrong.
            with await self._admission.derive(file_passphrase, salt, self._kdf) as file_kek:
                marks = await self._close(key, kek)
                with key.open_secret(kek) as secret:
                    sealed = self._seal(key.entry, marks, secret, salt, file_kek)
            logger.warning("key left the board", extra={"key": key.address, "id": key_id})
            return key.address, sealed

    async def _close(self, key: Key, kek: Secret) -> Marks:
        """Returns the marks with which nothing can be signed any more."""
        marks = await key.change_marks(kek, lambda m: close_marks(m, chain_of(key, m)))
        chain_id, last_level = chain_of(key, marks), marks.last_level
        entry = replace(key.entry, chain_id=chain_id, last_level=last_level)
        await trio.to_thread.run_sync(self._changes.replace_entry, entry)
        key.entry = entry
        return marks

    def _seal(
        self, entry: KeyEntry, marks: Marks, secret: Secret, salt: bytes, file_kek: Secret
    ) -> bytes:
        moved = MovedKey(
            id=entry.id,
            key_type=entry.public_key.type,
            flags=entry.flags,
            chain_id=entry.chain_id or b"",
            secret=secret,
            marks=replace(marks, last_level=None),  # it is this board's key that is retired
        )
        header = encode_header(self._kdf, salt)
        return encode_key(moved, header, file_kek, self._random_bytes(NONCE_BYTES))

    async def import_key(
        self, passphrase: Secret, data: bytes, file_passphrase: Secret, *, key_id: str | None
    ) -> KeyStatus:
        """Takes in a key of another board, locked; where it is here already, only its marks.

        Args:
            data: from `export_key`.
            key_id: what it is to be called; None: as it was.

        Raises:
            KeychainError: there is no such key, or its marks are as they were.
        """
        async with self._keyring.changing(Operation.IMPORT_KEY, passphrase) as kek:
            kdf, salt = decode_header(data)
            if kdf != self._kdf:
                raise KeyFileRefused("the file has Argon2id parameters of another version")
            with (
                await self._admission.derive(file_passphrase, salt, kdf) as file_kek,
                decode_key(data, file_kek) as moved,
            ):
                return await self._take_in(kek, moved, key_id or moved.id)

    async def _take_in(self, kek: Secret, moved: MovedKey, key_id: str) -> KeyStatus:
        try:
            signer = open_signer(moved.key_type, moved.secret.reveal())
        except BadKey as error:
            raise KeyFileRefused("the file holds no key that can be used") from error
        key = self._keyring.at(signer.public_key.address)
        if key is not None:
            await key.change_marks(kek, lambda marks: merge_marks(marks, moved.marks))
        else:
            self._keyring.check_new(key_id)
            key = self._keyring.add(
                await trio.to_thread.run_sync(self._changes.adopt_key, kek, key_id, signer, moved)
            )
        logger.warning("key came in", extra={"key": key.address, "id": key.entry.id})
        return key.status()
