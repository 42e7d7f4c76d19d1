"""What a disk may hold after a power cut: the durable part, and some of what was in flight. Pure.

In flight is each write that no flush covers yet. Of these any may be there or not, whole, in any
order; or one is torn at a sector; or one block of one of them is zeros or garbage. Few in flight:
all subsets. Many: a sample, which depends on the seed only.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import combinations
from random import Random
from typing import Final

from tests.crash.recording import Write

__all__ = ["CrashImage", "Damage", "split", "vary"]

_Spoil = Callable[[Write, Random], tuple[Write, ...]]

_SECTOR_BYTES: Final = 512
_ALL_SUBSETS_UP_TO: Final = 4


class Damage(StrEnum):
    """What happened to what was in flight."""

    NONE = "all or none in flight arrived"
    DROPPED = "some in flight dropped, any order"
    TORN = "one in flight torn at 512 bytes"
    ZEROED = "one block in flight zeroed"
    GARBLED = "one block in flight garbled"

    @property
    def is_spoilt(self) -> bool:
        """Whether more happened than a power cut does to a disk that keeps sectors whole."""
        return self in (Damage.ZEROED, Damage.GARBLED)


@dataclass(frozen=True, slots=True)
class CrashImage:
    """The durable disk with these writes on top, in this order."""

    damage: Damage
    writes: tuple[Write, ...]


def split(write: Write, block_bytes: int) -> list[Write]:
    """A disk may take the blocks of one request in any order."""
    return [
        Write(write.offset + at, write.data[at : at + block_bytes])
        for at in range(0, len(write.data), block_bytes)
    ]


def vary(pending: Sequence[Write], random: Random, samples: int) -> Iterator[CrashImage]:
    """Args: pending: blocks in flight, in the order of their writing; samples: of each damage."""
    yield CrashImage(Damage.NONE, ())
    if not pending:
        return
    yield CrashImage(Damage.NONE, tuple(pending))
    for kept in _choose_subsets(pending, random, samples):
        yield CrashImage(Damage.DROPPED, kept)
    for _ in range(samples):
        yield CrashImage(Damage.TORN, _replace(pending, random, _tear))
        yield CrashImage(Damage.ZEROED, _replace(pending, random, _zero))
        yield CrashImage(Damage.GARBLED, _replace(pending, random, _garble))


def _choose_subsets(
    pending: Sequence[Write], random: Random, samples: int
) -> Iterator[tuple[Write, ...]]:
    if len(pending) <= _ALL_SUBSETS_UP_TO:
        for count in range(1, len(pending)):
            yield from combinations(pending, count)
        return
    yield tuple(pending[:-1])
    yield (pending[-1],)
    for _ in range(samples):
        share = random.random()
        yield tuple(write for write in pending if random.random() < share)


def _replace(pending: Sequence[Write], random: Random, spoil: _Spoil) -> tuple[Write, ...]:
    """One of the last few, or any, is spoilt; the others are there."""
    at = len(pending) - 1 if random.random() < 0.5 else random.randrange(len(pending))
    return (*pending[:at], *spoil(pending[at], random), *pending[at + 1 :])


def _tear(write: Write, random: Random) -> tuple[Write, ...]:
    sectors = len(write.data) // _SECTOR_BYTES
    if sectors < 2:
        return ()
    kept = random.randrange(1, sectors) * _SECTOR_BYTES
    if random.random() < 0.5:
        return (Write(write.offset, write.data[:kept]),)
    return (Write(write.offset + kept, write.data[kept:]),)


def _zero(write: Write, _random: Random) -> tuple[Write, ...]:
    return (Write(write.offset, bytes(len(write.data))),)


def _garble(write: Write, _random: Random) -> tuple[Write, ...]:
    # Always the same for the same bytes: garbage of its own would make any image a distinct one.
    return (Write(write.offset, bytes(byte ^ 0xA5 for byte in write.data)),)
