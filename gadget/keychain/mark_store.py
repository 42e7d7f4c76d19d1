"""One key's marks on disk: two slots, always written together, and what is known to be in them.

Owns the sequence number and the question "is what memory says durable?". Never decides what may be
signed (`marks`) and never signs; `gadget.keychain.key` calls it under the key's lock.

Why a failed write is followed by one of the *old* marks, under a higher number: the failed one may
be durable or not, but its signature was thrown away, so the highest released mark is the old one.
Until the rewrite is durable a restart finds either of the two, both not below what was released;
after it, only the old marks. Nothing was released in between, so any payload above may be signed.
"""

import logging
from collections.abc import Callable
from typing import Final, final

from gadget.keychain.disk import DISK_ERRORS, MARKS_FOLDER, Disk
from gadget.keychain.durable import PendingWrite, Slots, remove_files, replace_files
from gadget.keychain.envelope import NONCE_BYTES
from gadget.keychain.errors import NotRecorded, NotStored
from gadget.keychain.mark_record import (
    BLOCK_BYTES,
    SLOTS,
    BadMarks,
    MarkSealer,
    StoredMarks,
    choose_newest,
    encode_marks,
    looks_whole,
)
from gadget.keychain.marks import Marks

__all__ = [
    "MarkStore",
    "create_marks",
    "find_damage",
    "load_marks",
    "read_marks",
    "remove_marks",
    "renew_marks",
]

logger = logging.getLogger(__name__)

_FIRST_SEQUENCE: Final = 1
_RandomBytes = Callable[[int], bytes]


def _names(address: str) -> tuple[str, str]:
    return (f"{MARKS_FOLDER}/{address}.0", f"{MARKS_FOLDER}/{address}.1")


def _encode_blocks(
    sealer: MarkSealer, stored: StoredMarks, random_bytes: _RandomBytes
) -> tuple[bytes, bytes]:
    body = encode_marks(stored.marks)
    nonces = random_bytes(2 * NONCE_BYTES)
    first, second = SLOTS
    return (
        sealer.encode_block(first, stored.sequence, body, nonces[:NONCE_BYTES]),
        sealer.encode_block(second, stored.sequence, body, nonces[NONCE_BYTES:]),
    )


@final
class MarkStore:
    """The marks of one unlocked key. Made by `load_marks`, at first not confirmed.

    Attributes:
        marks: the highest that was ever released, or found on disk.
        is_confirmed: whether exactly `marks` are durable in both slots.
    """

    __slots__ = ("_address", "_random_bytes", "_sealer", "_sequence", "_slots", "is_confirmed",
                 "marks")  # fmt: skip

    def __init__(
        self,
        *,
        address: str,
        slots: Slots,
        sealer: MarkSealer,
        stored: StoredMarks,
        random_bytes: _RandomBytes,
    ) -> None:
        self._address = address
        self._slots = slots
        self._sealer = sealer
        self._sequence = stored.sequence
        self._random_bytes = random_bytes
        self.marks = stored.marks
        self.is_confirmed = False

    def begin(self, marks: Marks) -> PendingWrite:
        """Hands new marks to the kernel; `finish` must follow, whatever happens in between.

        Raises:
            NotRecorded: not durable; the key must refuse until `rewrite` has succeeded.
        """
        self.is_confirmed = False
        self._sequence += 1
        stored = StoredMarks(sequence=self._sequence, marks=marks)
        try:
            return self._slots.begin(_encode_blocks(self._sealer, stored, self._random_bytes))
        except DISK_ERRORS as error:
            raise self._failure(error) from error

    def finish_nowait(self, pending: PendingWrite, marks: Marks) -> bool:
        """As `finish`, where the marks are durable by now; False: `finish` must wait."""
        if not pending.is_durable():
            return False
        self.marks = marks
        self.is_confirmed = True
        return True

    async def finish(self, pending: PendingWrite, marks: Marks) -> None:
        """Waits until the marks are durable, then takes them over.

        Raises:
            NotRecorded: unknown what is durable; `marks` stay as they were.
        Cancel: as after NotRecorded; the caller shields it.
        """
        try:
            await pending.wait()
        except DISK_ERRORS as error:
            raise self._failure(error) from error
        self.marks = marks
        self.is_confirmed = True

    async def rewrite(self) -> None:
        """Makes `marks` durable again, in both slots, after a load or a failure."""
        try:
            # A process that was killed may have left one slot on its way to the disk: only when it
            # has arrived may the other be overwritten, or a power cut could spoil both.
            await self._slots.settle()
        except DISK_ERRORS as error:
            raise self._failure(error) from error
        await self.finish(self.begin(self.marks), self.marks)

    async def change(self, change: Callable[[Marks], Marks]) -> Marks:
        """Makes what `change` makes of the marks durable, and returns it; the caller shields it.

        Raises:
            NotRecorded: unknown what is durable; `marks` stay as they were.
        """
        if not self.is_confirmed:
            await self.rewrite()
        changed = change(self.marks)
        if changed != self.marks:
            await self.finish(self.begin(changed), changed)
        return changed

    def _failure(self, error: BaseException) -> NotRecorded:
        logger.error(
            "marks could not be recorded", extra={"key": self._address, "reason": str(error)}
        )
        return NotRecorded(f"could not record the mark of {self._address}: {error}")

    def close(self) -> None:
        self._slots.close()


def create_marks(
    disk: Disk, address: str, sealer: MarkSealer, marks: Marks, random_bytes: _RandomBytes
) -> None:
    """Writes both slots of a new key durably. Blocks.

    Raises:
        NotStored: there is no such key yet.
    """
    stored = StoredMarks(sequence=_FIRST_SEQUENCE, marks=marks)
    _replace_slots(disk, address, sealer, stored, random_bytes)


def renew_marks(
    disk: Disk, address: str, sealer: MarkSealer, marks: Marks, random_bytes: _RandomBytes
) -> None:
    """Writes both slots again where they are lost or contradict each other. Blocks.

    Raises:
        NotStored: they are as they were, or new.
    """
    # Above what contradicts: half-way through, that must not become the newest whole slot.
    found = _read_slots(disk, address, sealer)
    last = max((slot.sequence for slot in found if slot is not None), default=0)
    stored = StoredMarks(sequence=last + 1, marks=marks)
    _replace_slots(disk, address, sealer, stored, random_bytes)


def _replace_slots(
    disk: Disk, address: str, sealer: MarkSealer, stored: StoredMarks, random_bytes: _RandomBytes
) -> None:
    blocks = _encode_blocks(sealer, stored, random_bytes)
    replace_files(disk, tuple(zip(_names(address), blocks, strict=True)))


def remove_marks(disk: Disk, address: str) -> None:
    """Removes both slots of a key that no record names any more. Blocks."""
    remove_files(disk, _names(address))


def read_marks(disk: Disk, address: str, sealer: MarkSealer) -> StoredMarks:
    """Reads the newest whole slot and changes nothing. Blocks.

    Raises:
        WatermarkUnusable: there is none.
    """
    return choose_newest(_read_slots(disk, address, sealer))


def load_marks(
    disk: Disk, address: str, sealer: MarkSealer, random_bytes: _RandomBytes
) -> MarkStore:
    """Opens both slots; one that is not whole is replaced first, while the other still is. Blocks.

    Raises:
        WatermarkUnusable: no slot is whole.
        NotRecorded: a damaged slot could not be replaced, or one could not be opened.
    """
    found = _read_slots(disk, address, sealer)
    newest = choose_newest(found)
    names = _names(address)
    if None in found:
        newest = StoredMarks(sequence=newest.sequence + 1, marks=newest.marks)
        blocks = _encode_blocks(sealer, newest, random_bytes)
        damaged = [(names[slot], blocks[slot]) for slot in SLOTS if found[slot] is None]
        try:
            replace_files(disk, damaged)
        except NotStored as error:
            raise NotRecorded(f"a copy of the marks could not be replaced: {error}") from error
        logger.warning("damaged copy of marks replaced", extra={"key": address})
    try:
        # A process that died, or a sync that failed, may have left a rename that is not durable.
        disk.sync_folder(MARKS_FOLDER)
        slots = Slots(disk, names)
    except DISK_ERRORS as error:
        raise NotRecorded(f"the marks of {address} could not be opened: {error}") from error
    return MarkStore(
        address=address, slots=slots, sealer=sealer, stored=newest, random_bytes=random_bytes
    )


def find_damage(disk: Disk, address: str) -> str:
    """Says what is wrong with the files of a key, "" where they look as they must. Blocks."""
    problems = []
    for slot, name in zip(SLOTS, _names(address), strict=True):
        try:
            if not looks_whole(slot, disk.read(name, BLOCK_BYTES + 1)):
                problems.append(f"copy {slot} of the marks is damaged")
        except DISK_ERRORS as error:
            problems.append(f"copy {slot} of the marks can't be read ({type(error).__name__})")
    return ", ".join(problems)


def _read_slots(
    disk: Disk, address: str, sealer: MarkSealer
) -> tuple[StoredMarks | None, StoredMarks | None]:
    names = _names(address)
    first, second = (_read_slot(disk, names[slot], slot, sealer) for slot in SLOTS)
    return first, second


def _read_slot(disk: Disk, name: str, slot: int, sealer: MarkSealer) -> StoredMarks | None:
    try:
        # One byte more than a block shows a file that is too long.
        return sealer.decode_block(slot, disk.read(name, BLOCK_BYTES + 1))
    except (*DISK_ERRORS, BadMarks) as error:
        logger.warning("copy of marks is damaged", extra={"file": name, "reason": str(error)})
        return None
