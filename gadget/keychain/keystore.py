"""The keystore's file, kept twice: which copy holds, and how both are replaced.

Owns keystore.0, keystore.1 and the sequence number. Knows no passphrase. "Not initialised" means
that both copies are absent *and* no marks lie there: anything else that can't be read is damage,
and stays so until a person has looked. Called by `gadget.keychain.keyring`; everything here blocks.
"""

import contextlib
import logging
from typing import Final, final

from gadget.keychain.disk import DISK_ERRORS, MARKS_FOLDER, Disk, folder_of
from gadget.keychain.durable import TEMPORARY, replace_files
from gadget.keychain.errors import KeystoreUnusable, NotStored
from gadget.keychain.keystore_record import (
    RECORD_LIMIT_BYTES,
    KeystoreRecord,
    decode_record,
    encode_record,
)

__all__ = ["Keystore"]

logger = logging.getLogger(__name__)

_NAMES: Final = ("keystore.0", "keystore.1")


@final
class Keystore:
    """The record of all keys, in memory and in both files.

    Attributes:
        record: the last that is known to be stored; None: not initialised.
    """

    def __init__(self, disk: Disk) -> None:
        self._disk = disk
        self._sequence = 0
        self._is_settled = True
        self.record: KeystoreRecord | None = None

    def load(self) -> None:
        """Takes the newest whole copy and repairs the other.

        Raises:
            KeystoreUnusable: neither is whole, or they contradict each other.
        """
        try:
            names = self._disk.list_names()
        except DISK_ERRORS as error:
            raise KeystoreUnusable(f"the data folder can't be read: {error}") from error
        self._remove_temporaries(names)
        present = [name for name in _NAMES if name in names]
        if not present and not any(folder_of(name) == MARKS_FOLDER for name in names):
            return
        whole = {name: data for name in present if (data := self._read_whole(name)) is not None}
        if not whole:
            raise KeystoreUnusable("both copies of the keystore are damaged or missing")
        newest = max(whole.values(), key=lambda data: decode_record(data)[0])
        self._sequence, record = decode_record(newest)
        for data in whole.values():
            if data != newest and decode_record(data)[0] == self._sequence:
                raise KeystoreUnusable("the two copies of the keystore contradict each other")
        self._sync_renames()
        self._repair([name for name in _NAMES if whole.get(name) != newest], newest)
        self.record = record

    def store(self, record: KeystoreRecord) -> None:
        """Replaces both copies. A failure uses up a sequence number and leaves `record` as it was.

        Raises:
            NotStored: where `unsettled`, `settle` must succeed before anything relies on `record`.
        """
        self._sequence += 1
        data = encode_record(record, self._sequence)
        try:
            replace_files(self._disk, [(name, data) for name in _NAMES])
        except NotStored as error:
            self._is_settled = self._is_settled and not error.unsettled
            raise
        self._is_settled = True
        self.record = record

    def settle(self) -> None:
        """After a store that may have reached the disk, makes the disk say what memory says.

        Raises:
            NotStored: it still may not.
        """
        if not self._is_settled and self.record is not None:
            self.store(self.record)

    def _read_whole(self, name: str) -> bytes | None:
        try:
            data = self._disk.read(name, RECORD_LIMIT_BYTES + 1)
            decode_record(data)
        except (*DISK_ERRORS, KeystoreUnusable) as error:
            logger.warning("keystore copy is damaged", extra={"file": name, "reason": str(error)})
            return None
        return data

    def _sync_renames(self) -> None:
        # A process that died, or a sync that failed, may have left one that is not durable.
        try:
            self._disk.sync_folder(folder_of(_NAMES[0]))
        except DISK_ERRORS as error:
            logger.warning("data folder can't be synced", extra={"reason": str(error)})

    def _repair(self, names: list[str], data: bytes) -> None:
        if not names:
            return
        # Not fatal: the whole copy holds, and the next store writes both. A full disk must not
        # keep a baker from unlocking.
        try:
            replace_files(self._disk, [(name, data) for name in names])
        except NotStored as error:
            reason = {"reason": str(error)}
            logger.error("keystore copy can't be repaired", extra=reason)  # noqa: TRY400 - no trace
        else:
            logger.warning("keystore copy repaired", extra={"file": names[0]})

    def _remove_temporaries(self, names: frozenset[str]) -> None:
        for name in names:
            if name.endswith(TEMPORARY):
                with contextlib.suppress(*DISK_ERRORS):
                    self._disk.remove(name)
