"""All keys of the board: make, unlock, lock, delete, list, and find the one that signs.

Owns who may ask for what, and the keys in memory: these sign on (`gadget.keychain.key`) while a
passphrase is checked (`admission`) and the keystore changes (`changes`). Never sees a frame or a
message: `gadget.rpc` calls it, and catches `KeychainError`. Source: docs/on-disk.md.
"""

import contextlib
import logging
import os
from collections.abc import AsyncIterator, Callable
from functools import partial
from pathlib import Path
from typing import Final, Self, final

import trio

from broker.messages import KeyOutcome, KeyStatus
from gadget.aio import open_aio
from gadget.keychain.admission import Admission, BootClock, SystemBootClock
from gadget.keychain.changes import KeystoreChanges
from gadget.keychain.disk import Disk, FolderDisk
from gadget.keychain.envelope import PRODUCTION_KDF, SALT_BYTES, KdfParameters
from gadget.keychain.errors import (
    AlreadyInitialised,
    DeleteRefused,
    KeyExists,
    KeystoreUnusable,
    NewRefused,
    NoKeys,
    NotInitialised,
    Operation,
    during,
)
from gadget.keychain.failover import Failover
from gadget.keychain.health import KeyringHealth
from gadget.keychain.key import Key
from gadget.keychain.key_transfer import KeyTransfer
from gadget.keychain.keystore import Keystore
from gadget.keychain.keystore_record import (
    EXPORTABLE,
    KEYS_LIMIT,
    TOMBSTONES_LIMIT,
    KeyEntry,
    KeystoreRecord,
)
from gadget.keychain.outcomes import lock_key, no_key, unlock_key
from gadget.keychain.secret import Secret
from tezos.keys import KeyType

__all__ = ["Keyring"]

logger = logging.getLogger(__name__)

# One write at a time for each key, and one for the throttle.
_AIO_SLOTS: Final = KEYS_LIMIT + 1


@final
class Keyring:
    """The keys of one data folder. Made by `open`; tests build it on another disk.

    Attributes:
        failover: what changes the marks of keys, and where they may sign.
        transfer: what takes keys out, and in.
        health: what it tells of itself.

    Args:
        kdf: what the passphrase costs; `open` takes no other than the production parameters.
        random_bytes: a source fit for keys.
    """

    def __init__(
        self,
        disk: Disk,
        *,
        kdf: KdfParameters = PRODUCTION_KDF,
        random_bytes: Callable[[int], bytes] = os.urandom,
        clock: BootClock | None = None,
    ) -> None:
        self._disk = disk
        self._kdf = kdf
        self._random_bytes = random_bytes
        self._keystore = Keystore(disk)
        self._admission = Admission(disk, SystemBootClock() if clock is None else clock)
        self._changes = KeystoreChanges(disk, self._keystore, self._admission, random_bytes)
        self._keys: dict[str, Key] = {}
        self.health = KeyringHealth(disk, self._keys, self._admission.stack)
        self._fault: KeystoreUnusable | None = None
        self._change_lock = trio.Lock()
        self.failover = Failover(self, self._changes)
        self.transfer = KeyTransfer(
            self, self._changes, self._admission, kdf=kdf, random_bytes=random_bytes
        )

    @classmethod
    @contextlib.asynccontextmanager
    async def open(cls, folder: Path) -> AsyncIterator[Self]:
        """Opens the data folder for as long as the context lasts.

        Raises:
            OSError: the folder can't be used, or another process owns it.
        """
        aio = open_aio(_AIO_SLOTS)
        try:
            with contextlib.closing(FolderDisk.open(folder, aio)) as disk:
                keyring = cls(disk)
                keyring.health.syncs = lambda: disk.occupancy
                keyring.load()
                yield keyring
        finally:
            await aio.aclose()

    def load(self) -> None:
        """Reads the keystore. Where it is damaged, every later call says so; nothing is raised."""
        try:
            self._keystore.load()
            record = self._keystore.record
            self._check_kdf(record)
        except KeystoreUnusable as error:
            self._fault = error
            reason = {"reason": str(error)}
            logger.error("keystore is unusable", extra=reason)  # noqa: TRY400 - no trace
            return
        if record is not None:
            self._admission.load()
            for entry in record.keys:
                self.add(entry)

    @property
    def is_initialised(self) -> bool:
        """Raises: KeystoreUnusable."""
        self._check_usable()
        return self._keystore.record is not None

    @property
    def is_deterministic(self) -> bool:
        """Raises: KeystoreUnusable."""
        self._check_usable()
        record = self._keystore.record
        return record is not None and record.sealed_seed is not None

    def unlocked(self) -> tuple[bool, ...]:
        """Says of each key whether it is unlocked, in the order of their creation."""
        return tuple(key.is_unlocked for key in self._keys.values())

    def status(self) -> tuple[KeyStatus, ...]:
        """Returns the keys in the order of their creation. Raises: KeystoreUnusable."""
        self._check_usable()
        return tuple(key.status() for key in self._keys.values())

    async def sign(self, address: str, payload: bytes) -> bytes:
        """Returns the raw signature; see `Key.sign`."""
        return await self._find(address).sign(payload)

    def prove_possession(self, address: str, public_key: bytes | None) -> bytes:
        """Returns 96 bytes; see `Key.prove_possession`."""
        return self._find(address).prove_possession(public_key)

    async def init(self, passphrase: Secret, deterministic: bool) -> None:
        """Makes an empty keystore.

        Raises:
            AlreadyInitialised, PassphraseMissing, KeystoreUnusable, NotStored: there is none new.
        """
        with during(Operation.INIT):
            async with self._change_lock:
                if self.is_initialised:
                    raise AlreadyInitialised("there is a keystore already")
                salt = self._random_bytes(SALT_BYTES)
                with (
                    await self._admission.derive(passphrase, salt, self._kdf) as kek,
                    trio.CancelScope(shield=True),
                ):
                    await trio.to_thread.run_sync(
                        self._changes.make_keystore, kek, salt, self._kdf, deterministic
                    )
        logger.info("keystore created", extra={"deterministic": deterministic})

    async def new(
        self,
        passphrase: Secret,
        key_id: str,
        key_type: KeyType,
        chain_id: bytes | None,
        *,
        exportable: bool = False,
    ) -> KeyStatus:
        """Makes a key, locked.

        Args:
            key_id: 1 to 64 of a-z 0-9 _ -
            chain_id: the one chain it will sign on; None: the first one that it is asked for.
            exportable: whether it may ever leave the board.

        Raises:
            KeychainError: there is no such key.
        """
        with during(Operation.NEW):
            async with self._change_lock:
                self.check_new(key_id)
                make = partial(
                    self._changes.make_key,
                    chain_id=chain_id,
                    flags=EXPORTABLE if exportable else 0,
                )
                with await self._admit(passphrase) as kek, trio.CancelScope(shield=True):
                    key = self.add(await trio.to_thread.run_sync(make, kek, key_id, key_type))
        logger.info("key created", extra={"key": key.address, "id": key_id})
        return key.status()

    async def unlock(self, passphrase: Secret, ids: tuple[str, ...]) -> tuple[KeyOutcome, ...]:
        """Unlocks these keys, all where `ids` is empty; one that is unlocked stays as it is.

        Returns:
            one outcome for each key; code 0: it is unlocked.

        Raises:
            KeychainError: the passphrase was not accepted, or there is no key at all.
        """
        with during(Operation.UNLOCK):
            async with self._change_lock:
                self._record()
                keys = self._select(ids)
                with await self._admit(passphrase) as kek, trio.CancelScope(shield=True):
                    outcomes = [await unlock_key(key_id, key, kek) for key_id, key in keys]
        return tuple(outcomes)

    async def lock(self, ids: tuple[str, ...]) -> tuple[KeyOutcome, ...]:
        """Locks these keys, all where `ids` is empty, each after its signature in progress.

        Raises:
            NoKeys, KeystoreUnusable.
        """
        with during(Operation.LOCK):
            self._check_usable()
            return tuple([await lock_key(key_id, key) for key_id, key in self._select(ids)])

    async def delete(self, passphrase: Secret, key_id: str) -> None:
        """Deletes a key for good and leaves a tombstone of its marks.

        Raises:
            KeychainError: the key is still there; if its deletion had begun, it is locked.
        """
        with during(Operation.DELETE):
            async with self._change_lock:
                record = self._record()
                ((_, key),) = self._select((key_id,))
                if key is None:
                    raise no_key(key_id)
                if len(record.tombstones) >= TOMBSTONES_LIMIT:
                    raise DeleteRefused(f"there are {TOMBSTONES_LIMIT} tombstones, no room")
                with await self._admit(passphrase) as kek, trio.CancelScope(shield=True):
                    await self._bury(key, kek)
        logger.info("key deleted", extra={"key": key.address, "id": key_id})

    async def passwd(self, passphrase: Secret, new_passphrase: Secret) -> None:
        """Puts everything under another passphrase, with another salt; unlocked keys stay so.

        Raises:
            KeychainError: the old one still opens everything, but where `NotStored` is unsettled
                and the board restarts: then either does, alone.
        """
        async with self.changing(Operation.PASSWD, passphrase) as kek:
            salt = self._random_bytes(SALT_BYTES)
            with await self._admission.derive(new_passphrase, salt, self._kdf) as new_kek:
                record = await trio.to_thread.run_sync(
                    self._changes.change_passphrase, kek, new_kek, salt
                )
            for entry in record.keys:
                self._keys[entry.public_key.address].entry = entry
        logger.info("passphrase changed")

    @contextlib.asynccontextmanager
    async def changing(self, operation: Operation, passphrase: Secret) -> AsyncIterator[Secret]:
        """Holds off every other change, and gives the key of the right passphrase.

        Raises:
            KeychainError: marked with `operation`, as what the block raises.
        Cancel: not within the block.
        """
        with during(operation):
            async with self._change_lock:
                self._record()
                with await self._admit(passphrase) as kek, trio.CancelScope(shield=True):
                    yield kek

    def named(self, key_id: str) -> Key:
        """Raises: KeyNotFound, KeystoreUnusable."""
        self._check_usable()
        for key in self._keys.values():
            if key.entry.id == key_id:
                return key
        raise no_key(key_id)

    async def _bury(self, key: Key, kek: Secret) -> None:
        marks = await key.bury(kek)
        await trio.to_thread.run_sync(self._changes.forget_key, key.entry, marks)
        key.mark_deleted()
        del self._keys[key.address]

    def at(self, address: str) -> Key | None:
        return self._keys.get(address)

    def add(self, entry: KeyEntry) -> Key:
        """Takes a key into memory that the record names."""
        key = Key(entry, self._disk, self._random_bytes, self.health)
        self._keys[key.address] = key
        return key

    async def _admit(self, passphrase: Secret) -> Secret:
        # A change that failed half-way may be on disk: first the disk must say what we say.
        await trio.to_thread.run_sync(self._keystore.settle)
        return await self._admission.admit(passphrase, self._record())

    def _check_kdf(self, record: KeystoreRecord | None) -> None:
        if record is not None and record.kdf != self._kdf:
            raise KeystoreUnusable("keystore: Argon2id parameters of another version")

    def _check_usable(self) -> None:
        if self._fault is not None:
            raise KeystoreUnusable(str(self._fault))

    def _record(self) -> KeystoreRecord:
        self._check_usable()
        if self._keystore.record is None:
            raise NotInitialised("there is no keystore yet: init first")
        return self._keystore.record

    def _find(self, address: str) -> Key:
        key = self._keys.get(address)
        if key is None:
            self._check_usable()
            raise no_key(address)
        return key

    def _select(self, ids: tuple[str, ...]) -> list[tuple[str, Key | None]]:
        by_id = {key.entry.id: key for key in self._keys.values()}
        if not ids and not by_id:
            raise NoKeys("there are no keys")
        return [(key_id, by_id.get(key_id)) for key_id in dict.fromkeys(ids or by_id)]

    def check_new(self, key_id: str) -> None:
        """Raises: KeyExists, NewRefused, NotInitialised, KeystoreUnusable."""
        record = self._record()
        if any(entry.id == key_id for entry in record.keys):
            raise KeyExists(f"there is a key {key_id} already")
        if len(record.keys) >= KEYS_LIMIT:
            raise NewRefused(f"there are {KEYS_LIMIT} keys, no room for more")
