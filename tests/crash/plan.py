"""What is recorded, and how closely each recording is looked at.

data=journal with 1 KiB blocks and 4 MiB of journal is what mke2fs makes of the image's small data
partition; a smaller journal wraps more often, and data=ordered is the other way in which
`gadget.keychain.durable` writes.
"""

from dataclasses import dataclass, replace
from typing import Final

from tests.crash.record import Setup

__all__ = ["CHECK", "FULL", "QUICK", "Plan", "mutant_setup"]

_IMAGE: Final = Setup(seed=1, steps=0, block_bytes=1024, journals_data=True)
_SMALL_JOURNAL: Final = replace(_IMAGE, journal_mb=1)
_LARGE_BLOCKS: Final = replace(_IMAGE, block_bytes=4096)
_ORDERED: Final = replace(_IMAGE, journals_data=False)
_ORDERED_LARGE: Final = replace(_ORDERED, block_bytes=4096)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Args: distinct: how many distinct disks there have to be after repair."""

    setups: tuple[Setup, ...]
    samples: int
    destruction: float
    distinct: int


def _setups(steps: int, seeds: range, *kinds: Setup) -> tuple[Setup, ...]:
    return tuple(replace(kind, seed=seed, steps=steps) for seed in seeds for kind in kinds)


# A part of `make test`.
CHECK: Final = Plan(setups=(replace(_IMAGE, steps=15),), samples=1, destruction=0.2, distinct=60)
QUICK: Final = Plan(
    setups=(
        *_setups(60, range(1, 2), _IMAGE, _SMALL_JOURNAL),
        *_setups(150, range(1, 2), _ORDERED_LARGE),
    ),
    samples=1,
    destruction=0.1,
    distinct=2_000,
)
FULL: Final = Plan(
    setups=(
        *_setups(600, range(1, 3), _IMAGE, _SMALL_JOURNAL, _LARGE_BLOCKS),
        *_setups(600, range(1, 5), _ORDERED, _ORDERED_LARGE),
    ),
    samples=2,
    destruction=0.1,
    distinct=50_000,
)


def mutant_setup(name: str) -> Setup:
    return replace(_IMAGE, steps=12, mutant=name)
