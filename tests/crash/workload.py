"""The workload: works on the store of a mounted disk, at random, with marks of what was answered.

`python -m tests.crash.workload FOLDER DISK SEED STEPS [MUTANT]`, in the lab. Steps sign on several
keys in parallel, some with a change of the keystore beside them, some restart the process (as far
as the store can tell: it is closed and opened again).
"""

import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from random import Random

import trio

from gadget.aio import open_aio
from tests.crash.mutants import MUTANTS
from tests.crash.operations import CHANGES, init, make_key, sign, unlock
from tests.crash.store import AIO_SLOTS, open_store
from tests.crash.world import Marker, World

_CHANGE_SHARE = 0.2
_RESTART_SHARE = 0.03
_PARALLEL = 5
_KEYS_AT_FIRST = 3


async def run(folder: Path, disk: Path, seed: int, steps: int) -> None:
    random = Random(seed)  # noqa: S311 - chance, not secrets
    marker = Marker(disk)
    aio = open_aio(AIO_SLOTS)
    with open_store(folder, aio) as keyring:
        world = World(keyring=keyring, marker=marker, random=random)
        await init(world)
        for _ in range(_KEYS_AT_FIRST):
            await make_key(world)
    done = 0
    while done < steps:
        with open_store(folder, aio) as world.keyring:
            await unlock(world)
            while done < steps:
                done += 1
                if random.random() < _RESTART_SHARE:
                    break
                await _step(world)
    await aio.aclose()


async def _step(world: World) -> None:
    async with trio.open_nursery() as nursery:
        for _ in range(world.random.randint(1, _PARALLEL)):
            nursery.start_soon(sign, world)
        if world.random.random() < _CHANGE_SHARE:
            nursery.start_soon(_choose_change(world.random), world)


def _choose_change(random: Random) -> Callable[[World], Awaitable[None]]:
    changes, weights = zip(*CHANGES, strict=True)
    (chosen,) = random.choices(changes, weights)
    return chosen  # type: ignore[no-any-return]


def main() -> None:
    folder, disk, seed, steps, *mutant = sys.argv[1:]
    for name in mutant:
        MUTANTS[name]()
    trio.run(run, Path(folder), Path(disk), int(seed), int(steps))


if __name__ == "__main__":
    main()
