"""Goes through a recording and tries every crash image: repair, open, judge, count.

One process for each share of a recording; a share replays the writes before it without looking.
"""

import logging
import tempfile
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Final, Self

import trio

from gadget.aio import open_aio
from tests.crash.answered import Answered
from tests.crash.check import Violation, check_store, check_unusable
from tests.crash.crash_images import CrashImage, Damage, split, vary
from tests.crash.destruction import destroy_copies, destroy_slots
from tests.crash.ext4 import Ext4
from tests.crash.mutants import MUTANTS
from tests.crash.recording import Entry, Flush, Mark, Recording, Write
from tests.crash.repair import Repaired, RepairShop
from tests.crash.store import AIO_SLOTS

__all__ = ["MEMORY_FOLDER", "Share", "Tally", "replay"]

MEMORY_FOLDER: Final = Path("/dev/shm")  # noqa: S108 - a disk would cost more than all the rest
_SUPER_BLOCK: Final = range(1024, 2048)


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """What of a recording to try, and how much of it.

    Args:
        part, parts: this one of so many.
        samples: of each kind of damage, at each crash point.
        destruction: how often, of answered moments, single files are destroyed.
        mutant: what is broken in the code that opens the stores; for good, in this process.
    """

    part: int = 0
    parts: int = 1
    samples: int
    destruction: float
    stops_at_once: bool = False
    mutant: str | None = None

    def range_of(self, count: int) -> range:
        return range(count * self.part // self.parts, count * (self.part + 1) // self.parts)


@dataclass(slots=True, kw_only=True)
class Tally:
    """What was tried and seen. `+=` adds another share's."""

    images: Counter[Damage] = field(default_factory=Counter)
    digests: set[bytes] = field(default_factory=set)
    opened: int = 0
    destroyed: int = 0
    unrepaired: Counter[Damage] = field(default_factory=Counter)
    violations: list[str] = field(default_factory=list)

    def __iadd__(self, other: "Tally") -> Self:
        self.images += other.images
        self.digests |= other.digests
        self.opened += other.opened
        self.destroyed += other.destroyed
        self.unrepaired += other.unrepaired
        self.violations += other.violations
        return self


def replay(recording: Recording, share: Share) -> Tally:
    logging.disable(logging.CRITICAL)
    if share.mutant is not None:
        MUTANTS[share.mutant]()
    with tempfile.TemporaryDirectory(dir=MEMORY_FOLDER) as folder:
        return trio.run(_Replay(recording, share, Path(folder)).run)


class _Replay:
    def __init__(self, recording: Recording, share: Share, folder: Path) -> None:
        self._recording = recording
        self._share = share
        self._folder = folder
        self._shop = RepairShop(recording, folder)
        self._block_bytes = Ext4.open(recording.base).block_bytes
        self._random = Random(share.part)  # noqa: S311 - chance, not secrets
        self._answered = Answered()
        self._tally = Tally()
        self._pending: list[Write] = []
        self._durable = 0
        self._repaired: dict[tuple[Write, ...], Repaired] = {}
        self._judged: set[tuple[int, int]] = set()
        self._count = 0

    async def run(self) -> Tally:
        self._aio = open_aio(AIO_SLOTS)
        chosen = self._share.range_of(len(self._recording.entries))
        for index, entry in enumerate(self._recording.entries[: chosen.stop]):
            self._take(entry)
            if index in chosen:
                await self._try_all(f"{self._recording.name} at entry {index}")
                if isinstance(entry, Mark) and self._random.random() < self._share.destruction:
                    await self._destroy(f"{self._recording.name} at entry {index}")
            if self._tally.violations and self._share.stops_at_once:
                break
        self._shop.close()
        await self._aio.aclose()
        return self._tally

    def _take(self, entry: Entry) -> None:
        match entry:
            case Write():
                self._pending.append(entry)
            case Flush(covered):
                done = max(0, covered - self._durable)
                self._shop.settle(self._pending[:done])
                del self._pending[:done]
                self._durable += done
                self._repaired.clear()
            case Mark(text):
                self._answered.take(text)

    async def _try_all(self, where: str) -> None:
        blocks = [piece for write in self._pending for piece in split(write, self._block_bytes)]
        for image in vary(blocks, self._random, self._share.samples):
            await self._try(image, where)

    async def _try(self, image: CrashImage, where: str) -> None:
        repaired = self._repair(image.writes)
        self._tally.images[image.damage] += 1
        self._tally.digests.add(repaired.digest)
        if repaired.files is None:
            self._tally.unrepaired[image.damage] += 1
            if not (image.damage.is_spoilt or _tears_super_block(image)):
                self._report(where, image.damage, "the file system does not mount any more")
            return
        await self._judge(repaired.files, f"{where}, {image.damage}")

    def _repair(self, writes: tuple[Write, ...]) -> Repaired:
        repaired = self._repaired.get(writes)
        if repaired is None:
            repaired = self._repaired[writes] = self._shop.repair(writes)
        return repaired

    async def _judge(self, files: Mapping[str, bytes], where: str) -> None:
        pair = (hash(frozenset(files.items())), self._answered.version)
        if pair in self._judged:
            return
        self._judged.add(pair)
        self._tally.opened += 1
        try:
            await check_store(self._lay_out(files), self._aio, self._answered)
        except Violation as violation:
            self._report(where, violation)

    async def _destroy(self, where: str) -> None:
        """Of a store in which all that was answered is durable, single files are destroyed."""
        files = self._repair(()).files
        if files is None:
            return
        idle = self._answered.idle_keys()
        for what, changed in (
            *destroy_slots(files, idle, self._random),
            *(() if self._answered.open_changes else destroy_copies(files, self._random)),
        ):
            self._tally.destroyed += 1
            await self._judge(changed, f"{where}, {what}")
        for key_id, key in list(idle.items())[:1]:
            without = {name: data for name, data in files.items() if str(key.address) not in name}
            self._tally.destroyed += 1
            try:
                await check_unusable(self._lay_out(without), self._aio, self._answered, key_id)
            except Violation as violation:
                self._report(where, "both slots destroyed", violation)

    def _lay_out(self, files: Mapping[str, bytes]) -> Path:
        self._count += 1
        folder = self._folder / f"store-{self._count}"
        (folder / "marks").mkdir(parents=True)
        for name, data in files.items():
            (folder / name).write_bytes(data)
        return folder

    def _report(self, *words: object) -> None:
        self._tally.violations.append(": ".join(str(word) for word in words))


def _tears_super_block(image: CrashImage) -> bool:
    return image.damage is Damage.TORN and any(
        write.offset < _SUPER_BLOCK.stop and write.offset + len(write.data) > _SUPER_BLOCK.start
        for write in image.writes
    )
