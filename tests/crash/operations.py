"""What the workload does to the store: one table, one line for each operation.

Each operation says what it is about to do, does it, and says how it ended, through marks on the
disk (`Marker`). What the marks mean is `answered`'s.
"""

from collections.abc import Awaitable, Callable
from typing import Final

from gadget.keychain.mark_changes import LAST_ROUND
from gadget.keychain.marks import ChainMarks, Mark, Marks
from gadget.keychain.secret import Secret
from tests.crash.world import KINDS, Subject, World, build_payload
from tezos.consensus import Kind
from tezos.keys import MAINNET, KeyType, encode_chain_id

__all__ = ["CHANGES", "init", "make_key", "sign", "unlock"]

_KEYS: Final = (3, 5)  # at least, at most
_CHAINS: Final = (MAINNET, b"\xaf\x18\x64\xd9")


async def init(world: World) -> None:
    is_deterministic = world.random.random() < 0.5
    begin: dict[str, object] = {"do": "init", "passphrase": world.passphrase.decode()}
    with Secret(world.passphrase) as secret:
        await world.perform(begin, lambda: world.keyring.init(secret, is_deterministic))


async def sign(world: World) -> None:
    subject = world.choose()
    kind = world.random.choice(KINDS)
    place = _choose_place(world, subject, kind)
    variant = world.random.choice((0, 0, 0, 1))
    payload = build_payload(str(subject.type), kind, place, variant, subject.chain_id)
    begin: dict[str, object] = {
        "do": "sign",
        "key": subject.id,
        "kind": kind,
        "place": place,
        "chain": encode_chain_id(subject.chain_id),
        "payload": payload.hex(),
    }

    async def act() -> dict[str, object]:
        return {"signature": (await world.keyring.sign(subject.address, payload)).hex()}

    await world.perform(begin, act)


def _choose_place(world: World, subject: Subject, kind: str) -> tuple[int, int]:
    level, round_ = subject.tried[kind]
    place = world.random.choice(
        ((level + 1, 0), (level + 1, 0), (level, round_ + 1), (level, round_), (level - 1, 0))
    )
    subject.tried[kind] = max(place, (level, round_))
    return place


async def unlock(world: World) -> None:
    with Secret(world.passphrase) as secret:
        await world.perform({"do": "unlock"}, lambda: world.keyring.unlock(secret, ()))


async def _lock(world: World) -> None:
    await world.perform({"do": "lock"}, lambda: world.keyring.lock(()))
    await unlock(world)


async def make_key(world: World) -> None:
    if len(world.subjects) >= _KEYS[1]:
        return
    key_id = f"k{world.count}"
    # Mostly Ed25519: under emulation it costs the workload least.
    key_type = world.random.choice((KeyType.TZ1, KeyType.TZ1, KeyType.TZ3, KeyType.TZ4))
    chain_id = world.random.choice((MAINNET, None))

    async def act() -> dict[str, object]:
        with Secret(world.passphrase) as secret:
            status = await world.keyring.new(secret, key_id, key_type, chain_id)
        world.subjects[key_id] = Subject(
            id=key_id, type=key_type, address=status.pkh, chain_id=MAINNET, is_bound=bool(chain_id)
        )
        return {"address": status.pkh}

    chain = None if chain_id is None else encode_chain_id(chain_id)
    begin: dict[str, object] = {"do": "new", "key": key_id, "type": str(key_type), "chain": chain}
    if await world.perform(begin, act):
        await unlock(world)


async def _delete(world: World) -> None:
    if len(world.subjects) <= _KEYS[0]:
        return
    key_id = world.choose().id
    with Secret(world.passphrase) as secret:
        begin: dict[str, object] = {"do": "delete", "key": key_id}
        if await world.perform(begin, lambda: world.keyring.delete(secret, key_id)):
            del world.subjects[key_id]


async def _passwd(world: World) -> None:
    new = f"passphrase {world.count}".encode()
    with Secret(world.passphrase) as secret, Secret(new) as new_secret:
        begin: dict[str, object] = {"do": "passwd", "passphrase": new.decode()}
        if await world.perform(begin, lambda: world.keyring.passwd(secret, new_secret)):
            world.passphrase = new


async def _retire(world: World) -> None:
    subject = world.choose()
    level = subject.highest_level + world.random.randint(0, 4)
    with Secret(world.passphrase) as secret:
        await world.perform(
            {"do": "retire", "key": subject.id, "level": level},
            lambda: world.keyring.failover.retire(secret, subject.id, level),
        )


async def _set_chain(world: World) -> None:
    subject = world.choose()
    chain_id = world.random.choice(_CHAINS)
    if not subject.is_bound:
        return
    begin: dict[str, object] = {"do": "set_chain", "key": subject.id}
    with Secret(world.passphrase) as secret:
        if await world.perform(
            {**begin, "chain": encode_chain_id(chain_id)},
            lambda: world.keyring.failover.set_chain(secret, subject.id, chain_id),
        ):
            subject.chain_id = chain_id


async def _set_level(world: World) -> None:
    subject = world.choose()
    level = subject.highest_level + world.random.randint(-1, 2)
    with Secret(world.passphrase) as secret:
        await world.perform(
            _raise(subject, (level, LAST_ROUND), KINDS),
            lambda: world.keyring.failover.set_level(secret, subject.id, subject.chain_id, level),
        )
    for kind in KINDS:
        subject.tried[kind] = max(subject.tried[kind], (level, 0))


async def _import_marks(world: World) -> None:
    subject = world.choose()
    kind = world.random.choice(KINDS)
    level, round_ = subject.tried[kind]
    mark = Mark(level=level + 1, round=round_, payload_hash=bytes(32), may_resign=True)
    chain = ChainMarks(chain_id=subject.chain_id).with_mark(Kind[kind.upper()], mark, None)
    entry = (subject.id, subject.address, Marks(chains=(chain,)))

    async def act() -> None:
        with Secret(world.passphrase) as secret:
            (outcome,) = await world.keyring.failover.import_marks(secret, [entry])
        world.refuse(outcome)

    await world.perform(_raise(subject, (level + 1, round_), (kind,)), act)
    subject.tried[kind] = (level + 1, round_)


def _raise(subject: Subject, place: tuple[int, int], kinds: tuple[str, ...]) -> dict[str, object]:
    chain = encode_chain_id(subject.chain_id)
    return {"do": "raise", "key": subject.id, "chain": chain, "place": place, "kinds": kinds}


Operation = Callable[[World], Awaitable[None]]

# What is done beside signatures, and how often in comparison.
CHANGES: Final[tuple[tuple[Operation, int], ...]] = (
    (make_key, 4),
    (_delete, 2),
    (_lock, 1),
    (_passwd, 2),
    (_retire, 1),
    (_set_chain, 1),
    (_set_level, 2),
    (_import_marks, 2),
)
