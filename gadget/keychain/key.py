"""One key in memory: its lock, its signer while it is unlocked, and the way of one signature.

Owns the order that promise 1 rests on: compare, hand the new mark to the kernel, sign meanwhile,
wait until the mark is durable, only then let the signature out. Never asks for a passphrase and
knows no other key. Called by `gadget.keychain.keyring`. Read `sign` and `_record_and_sign` first.
"""

import logging
import time
from collections.abc import Callable
from hashlib import blake2b
from typing import Final, NamedTuple, final

import trio

from broker.messages import KeyStatus, MarksStatus, MarkStatus
from gadget.keychain.disk import Disk
from gadget.keychain.errors import (
    Broken,
    KeychainError,
    KeyLocked,
    KeyNotFound,
    KeystoreUnusable,
    NotRecorded,
    PayloadRefused,
    SignFailed,
    WatermarkUnusable,
)
from gadget.keychain.health import KeyringHealth
from gadget.keychain.key_material import (
    open_dek,
    open_key_signer,
    open_mark_sealer,
    open_secret,
)
from gadget.keychain.keystore_record import KeyEntry
from gadget.keychain.mark_store import MarkStore, load_marks, read_marks, renew_marks
from gadget.keychain.marks import Advance, Mark, Marks, decide
from gadget.keychain.secret import Secret
from tezos.consensus import parse_payload
from tezos.errors import BadKey, BadPayload
from tezos.keys import encode_chain_id
from tezos.signers import Signer
from tezos.verify import encode_signature

__all__ = ["Key"]

logger = logging.getLogger(__name__)

_DIGEST_BYTES: Final = 32


class _Unlocked(NamedTuple):
    signer: Signer
    store: MarkStore


@final
class Key:
    """One key of the keystore. Made locked."""

    def __init__(
        self,
        entry: KeyEntry,
        disk: Disk,
        random_bytes: Callable[[int], bytes],
        health: KeyringHealth,
    ) -> None:
        self.entry = entry
        self.address = entry.public_key.address
        self._disk = disk
        self._random_bytes = random_bytes
        self._health = health
        self._lock = trio.Lock()
        self._unlocked: _Unlocked | None = None
        self._fault: WatermarkUnusable | KeystoreUnusable | None = None
        self._is_deleted = False
        proof = entry.proof
        self._public_key = entry.public_key.base58
        self._proof = None if proof is None else encode_signature(entry.public_key.type, proof)

    async def sign(self, payload: bytes) -> bytes:
        """Returns the raw signature, after its mark is durable in both slots.

        Raises:
            KeychainError: nothing was signed, or nobody will ever see it.
        Cancel: before the mark went to the kernel nothing has happened; after that the mark
            counts, and the same payload gets the same signature.
        """
        self._check_unlocked()
        try:
            parsed = parse_payload(payload, self.entry.public_key.type)
        except BadPayload as error:
            raise PayloadRefused(str(error)) from error
        digest = blake2b(payload, digest_size=_DIGEST_BYTES).digest()
        try:
            self._lock.acquire_nowait()
        except trio.WouldBlock:
            await self._lock.acquire()
        try:
            signer, store = self._check_unlocked()
            if not store.is_confirmed:
                with trio.CancelScope(shield=True):
                    await store.rewrite()
            decision = decide(store.marks, parsed, digest, self.entry.chain_id)
            if isinstance(decision, Advance):
                return await self._record_and_sign(signer, store, decision.marks, payload)
            return _compute(signer, payload)
        finally:
            self._lock.release()

    async def _record_and_sign(
        self, signer: Signer, store: MarkStore, marks: Marks, payload: bytes
    ) -> bytes:
        now_s = time.monotonic
        begun_s = now_s()
        pending = store.begin(marks)
        written_s = computed_s = now_s()
        try:
            # The kernel commits meanwhile. This holds the thread: pyblst keeps the GIL.
            signature = _compute(signer, payload)
            computed_s = now_s()
        finally:
            # Also when signing raised: the next request must not find this write unfinished.
            # Mostly the disk was faster than the signature, and there is nothing to wait for.
            if not store.finish_nowait(pending, marks):
                with trio.CancelScope(shield=True):
                    await store.finish(pending, marks)
        self._health.signature.add(computed_s - written_s)
        self._health.marks.add(written_s - begun_s + now_s() - computed_s)
        return signature

    async def unlock(self, kek: Secret) -> str:
        """Reads secret and marks, and makes the marks durable again. Harmless when unlocked.

        Returns:
            what is not yet as it should be, though the key is unlocked; "" when all is well.

        Raises:
            WatermarkUnusable, KeystoreUnusable: the key is unusable until that is mended.
            NotRecorded: still locked; another try may help.
        """
        async with self._lock:
            if self._unlocked is not None:
                return ""
            try:
                unlocked = await trio.to_thread.run_sync(self._load, kek)
            except (WatermarkUnusable, KeystoreUnusable) as error:
                self._fault = error
                fields = {"key": self.address, "reason": str(error)}
                logger.error("key is unusable", extra=fields)  # noqa: TRY400 - no trace
                raise
            self._fault = None
            self._unlocked = unlocked
            logger.info("key unlocked", extra={"key": self.address})
            try:
                await unlocked.store.rewrite()
            except NotRecorded as error:
                return f"unlocked, but it signs nothing yet: {error}"
            return ""

    def _load(self, kek: Secret) -> _Unlocked:
        with open_dek(kek, self.entry) as dek:
            signer = open_key_signer(dek, self.entry)
            sealer = open_mark_sealer(dek, self.entry)
        store = load_marks(self._disk, self.address, sealer, self._random_bytes)
        return _Unlocked(signer=signer, store=store)

    async def lock(self) -> None:
        """Waits for the signature in progress, then forgets the secret."""
        async with self._lock:
            self._forget()

    @property
    def marks(self) -> Marks:
        """Raises: KeyLocked, WatermarkUnusable, KeystoreUnusable: they can't be read now."""
        return self._check_unlocked().store.marks

    async def change_marks(self, kek: Secret, change: Callable[[Marks], Marks]) -> Marks:
        """Makes what `change` returns durable in both slots, whether the key is locked or not.

        Returns:
            the changed marks.

        Raises:
            KeychainError: what `change` raised, or what kept the marks from being read or written.
        """
        async with self._lock:
            if self._unlocked is not None:
                return await self._unlocked.store.change(change)
            store = await trio.to_thread.run_sync(self._load_store, kek)
            try:
                return await store.change(change)
            finally:
                store.close()

    async def renew_marks(self, kek: Secret, marks: Marks) -> None:
        """Replaces marks that can't be read; the key is locked afterwards.

        Raises:
            NotStored, KeystoreUnusable: still unusable, or not.
        """
        async with self._lock:
            await trio.to_thread.run_sync(self._replace_marks, kek, marks)
            self._forget()
            self._fault = None

    def open_secret(self, kek: Secret) -> Secret:
        """Raises: KeystoreUnusable: damaged. Blocks for as long as a decryption takes."""
        with open_dek(kek, self.entry) as dek:
            return open_secret(dek, self.entry)

    def _load_store(self, kek: Secret) -> MarkStore:
        with open_dek(kek, self.entry) as dek:
            sealer = open_mark_sealer(dek, self.entry)
        return load_marks(self._disk, self.address, sealer, self._random_bytes)

    def _replace_marks(self, kek: Secret, marks: Marks) -> None:
        with open_dek(kek, self.entry) as dek:
            sealer = open_mark_sealer(dek, self.entry)
        renew_marks(self._disk, self.address, sealer, marks, self._random_bytes)

    async def bury(self, kek: Secret) -> Marks | None:
        """Locks the key and returns its marks; None where they can't be read any more."""
        async with self._lock:
            unlocked = self._unlocked
            if unlocked is not None:
                self._forget()
                return unlocked.store.marks
            return await trio.to_thread.run_sync(self._read_marks, kek)

    def _read_marks(self, kek: Secret) -> Marks | None:
        try:
            with open_dek(kek, self.entry) as dek:
                sealer = open_mark_sealer(dek, self.entry)
            return read_marks(self._disk, self.address, sealer).marks
        except (WatermarkUnusable, KeystoreUnusable):
            return None

    def mark_deleted(self) -> None:
        """From now on a request that still waits for the lock is told that there is no such key."""
        self._is_deleted = True

    def prove_possession(self, public_key: bytes | None) -> bytes:
        """Raises: KeyLocked, WatermarkUnusable; PayloadRefused: no tz4 key, here or there."""
        try:
            return self._check_unlocked().signer.prove_possession(public_key)
        except BadKey as error:
            raise PayloadRefused(str(error)) from error

    @property
    def is_unlocked(self) -> bool:
        return self._unlocked is not None

    def status(self) -> KeyStatus:
        marks = None if self._unlocked is None else self._unlocked.store.marks
        chain_id = self.entry.chain_id or (marks.bound_chain if marks is not None else None)
        return KeyStatus(
            id=self.entry.id,
            type=str(self.entry.public_key.type),
            pkh=self.address,
            public_key=self._public_key,
            proof_of_possession=self._proof,
            lock_state=self._lock_state(),
            chain_id=None if chain_id is None else encode_chain_id(chain_id),
            marks=None if marks is None else _marks_status(marks, chain_id),
            last_level=self.entry.last_level if marks is None else marks.last_level,
        )

    def _lock_state(self) -> str:
        if self._fault is not None:
            return "unusable"
        return "locked" if self._unlocked is None else "unlocked"

    def _check_unlocked(self) -> _Unlocked:
        if self._unlocked is None:
            raise self._refusal()
        return self._unlocked

    def _refusal(self) -> KeychainError:
        if self._is_deleted:
            return KeyNotFound(f"there is no key {self.address}")
        fault: Broken | None = self._fault
        if fault is not None:
            return type(fault)(str(fault))
        return KeyLocked(f"the key {self.entry.id} is locked")

    def _forget(self) -> None:
        """Drops the signer and the cipher; what they hold can't be wiped from Python."""
        if self._unlocked is not None:
            self._unlocked.store.close()
            self._unlocked = None
            logger.info("key locked", extra={"key": self.address})


def _compute(signer: Signer, payload: bytes) -> bytes:
    try:
        return signer.sign(payload)
    except Exception as error:
        # Whatever the library raises: the mark is recorded, the caller needs an answer.
        raise SignFailed(f"the signature could not be computed ({type(error).__name__})") from error


def _marks_status(marks: Marks, chain_id: bytes | None) -> MarksStatus:
    if chain_id is None:
        return MarksStatus(block=None, preattestation=None, attestation=None)
    chain = marks.on_chain(chain_id)
    return MarksStatus(
        block=_mark_status(chain.block),
        preattestation=_mark_status(chain.preattestation),
        attestation=_mark_status(chain.attestation),
    )


def _mark_status(mark: Mark | None) -> MarkStatus | None:
    return None if mark is None else MarkStatus(level=mark.level, round=mark.round)
