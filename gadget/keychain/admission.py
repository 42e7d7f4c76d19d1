"""The door that every passphrase goes through: count the try on disk, derive, check, open.

Owns the throttle's file and the only call of the key derivation, which runs in a thread, one at a
time, so that signing goes on meanwhile. Called by `gadget.keychain.keyring`, under its lock.
"""

import logging
import time
from pathlib import Path
from typing import Final, Protocol, final

import trio

from gadget.keychain.disk import DISK_ERRORS, Disk
from gadget.keychain.durable import Slots, replace_files
from gadget.keychain.envelope import (
    NONCE_BYTES,
    KdfParameters,
    bind,
    derive_kek,
    open_sealed,
    seal,
)
from gadget.keychain.errors import (
    BadPassphrase,
    NotAuthentic,
    NotStored,
    PassphraseMissing,
    Throttled,
)
from gadget.keychain.keystore_record import KeystoreRecord
from gadget.keychain.secret import Secret
from gadget.keychain.throttle import THROTTLE_BYTES, Tries, decode_tries, encode_tries
from gadget.thread_stack import StackMeter

__all__ = ["Admission", "BootClock", "SystemBootClock", "make_verifier"]

logger = logging.getLogger(__name__)

_FILE: Final = "throttle"
_BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")


class BootClock(Protocol):
    """Time since the board was switched on, and which time it was."""

    def boot_id(self) -> bytes: ...

    def now_ms(self) -> int: ...


@final
class SystemBootClock:
    """The kernel's: goes on in suspend, starts from zero after a reboot."""

    def boot_id(self) -> bytes:
        return bytes.fromhex(_BOOT_ID.read_text().strip().replace("-", ""))

    def now_ms(self) -> int:
        return time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1_000_000


def _verifier_context(salt: bytes, kdf: KdfParameters) -> bytes:
    costs = (kdf.iterations, kdf.memory_kib, kdf.lanes)
    return bind(b"verifier", salt, *(cost.to_bytes(4, "little") for cost in costs))


def make_verifier(kek: Secret, salt: bytes, kdf: KdfParameters, nonce: bytes) -> bytes:
    """Seals nothing at all: it opens with the same passphrase, salt and parameters only."""
    assert len(nonce) == NONCE_BYTES  # noqa: S101
    return seal(kek, b"", context=_verifier_context(salt, kdf), nonce=nonce)


@final
class Admission:
    """Lets the right passphrase in, and the wrong one a few times.

    Attributes:
        stack: what a derivation uses of its thread's stack.
    """

    def __init__(self, disk: Disk, clock: BootClock) -> None:
        self._disk = disk
        self._clock = clock
        self._slot: Slots | None = None
        self._tries = Tries.full(bytes(16), 0)
        self.stack: Final = StackMeter()

    def load(self) -> None:
        """Takes over the tries that were counted before. A damaged file counts as full."""
        boot_id, now_ms = self._clock.boot_id(), self._clock.now_ms()
        block = b""
        try:
            block = self._disk.read(_FILE, THROTTLE_BYTES + 1)
        except DISK_ERRORS as error:
            logger.warning("throttle file can't be read", extra={"reason": str(error)})
        tries = decode_tries(block)
        if tries is None:
            self._tries = Tries.full(boot_id, now_ms)
        else:
            self._tries = tries.seen_at(boot_id, now_ms)
        if len(block) == THROTTLE_BYTES:
            self._open_slot()

    def create(self) -> None:
        """Makes the file, with no tries in it: the keystore is new. Blocks. Raises: NotStored."""
        self._tries = Tries(boot_id=self._clock.boot_id())
        self._replace()

    async def derive(self, passphrase: Secret, salt: bytes, kdf: KdfParameters) -> Secret:
        """Raises: PassphraseMissing."""
        if not len(passphrase):
            raise PassphraseMissing("a passphrase is needed")
        return await trio.to_thread.run_sync(self.stack.run, derive_kek, passphrase, salt, kdf)

    async def admit(self, passphrase: Secret, record: KeystoreRecord) -> Secret:
        """Returns the key-encryption key; the caller wipes it.

        Raises:
            PassphraseMissing, Throttled, BadPassphrase: refused.
            NotStored: the try could not be counted, so it was not made.
        Cancel: the try stays counted.
        """
        if not len(passphrase):
            raise PassphraseMissing("a passphrase is needed")
        await self._count_try()
        kek = await self.derive(passphrase, record.salt, record.kdf)
        try:
            open_sealed(kek, record.verifier, context=_verifier_context(record.salt, record.kdf))
        except NotAuthentic:
            kek.wipe()
            raise BadPassphrase("this is not the passphrase") from None
        await self._forget_tries()
        return kek

    async def _count_try(self) -> None:
        now_ms = self._clock.now_ms()
        wait_ms = self._tries.wait_ms(now_ms)
        if wait_ms > 0:
            raise Throttled(f"too many tries, the next one in {-(-wait_ms // 1000)} s")
        self._tries = self._tries.with_try(now_ms)
        await self._write()

    async def _forget_tries(self) -> None:
        self._tries = Tries(boot_id=self._tries.boot_id)
        try:
            await self._write()
        except NotStored as error:
            # The next restart counts one try too many; nothing else is lost.
            logger.warning("tries could not be cleared", extra={"reason": str(error)})

    async def _write(self) -> None:
        if self._slot is None:
            await trio.to_thread.run_sync(self._replace)
            return
        try:
            # In place: a full disk must not keep a baker from unlocking.
            with trio.CancelScope(shield=True):
                await self._slot.begin((encode_tries(self._tries),)).wait()
        except DISK_ERRORS as error:
            raise NotStored(f"the try could not be counted: {error}") from error

    def _replace(self) -> None:
        replace_files(self._disk, [(_FILE, encode_tries(self._tries))])
        self._open_slot()

    def _open_slot(self) -> None:
        if self._slot is not None:
            self._slot.close()
            self._slot = None
        try:
            self._slot = Slots(self._disk, (_FILE,))
        except DISK_ERRORS as error:
            logger.warning("throttle file can't be opened", extra={"reason": str(error)})
