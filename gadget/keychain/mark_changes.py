"""What a person may do to marks: raise them, retire the key, merge other marks in. Pure.

Owns the one rule of all of these: nothing is lowered, and nothing gives a right to sign again. What
a signature does to marks is `marks.decide`. Called by `failover`, `changes` and `key_transfer`.
"""

from dataclasses import replace
from typing import Final

from gadget.keychain.errors import ChangeRefused
from gadget.keychain.marks import LEVEL_JUMP_LIMIT, ChainMarks, Mark, Marks
from tezos.consensus import Kind
from tezos.keys import encode_chain_id

__all__ = [
    "LAST_ROUND",
    "check_plausible",
    "close_marks",
    "lost_marks",
    "merge_marks",
    "raise_to",
    "retire_marks",
    "set_level",
]

LAST_ROUND: Final = 2**31 - 1
_UNKNOWN_HASH: Final = bytes(32)


def set_level(marks: Marks, chain_id: bytes, level: int) -> Marks:
    """Uses up `level` and all below it on one chain, for every kind.

    Raises:
        ChangeRefused: every mark is above that already: it would look as if they were lowered.
        WrongChain: there is no room for another chain.
    """
    chain = marks.on_chain(chain_id)
    known = [chain.of_kind(kind) for kind in Kind]
    if all(mark is not None and mark.level > level for mark in known):
        raise ChangeRefused(f"every mark is above level {level}, and marks are never lowered")
    return raise_to(marks, chain_id, level)


def raise_to(marks: Marks, chain_id: bytes, level: int) -> Marks:
    """Uses up `level` and all below it, wherever it is not used up yet.

    Raises:
        WrongChain: there is no room for another chain.
    """
    chain = marks.on_chain(chain_id)
    used_up = Mark(level=level, round=LAST_ROUND, payload_hash=_UNKNOWN_HASH, may_resign=False)
    for kind in Kind:
        chain = chain.with_mark(kind, _higher(chain.of_kind(kind), used_up), chain.signed_level)
    return marks.with_chain(chain, marks.bound_chain)


def lost_marks(chain_id: bytes, level: int, last_level: int | None) -> Marks:
    """Returns the marks of a key that may have signed anything up to `level`, and on other chains
    anything at all.

    Args:
        last_level: where the key was retired; that outlives its marks.
    """
    known = ChainMarks(chain_id=chain_id, signed_level=level)
    marks = Marks(chains=(known,), last_level=last_level, bound_chain=chain_id, are_partial=True)
    return raise_to(marks, chain_id, level)


def retire_marks(marks: Marks, last_level: int) -> Marks:
    """Raises: ChangeRefused: it is retired at a lower level already."""
    if marks.last_level is not None and last_level > marks.last_level:
        raise ChangeRefused(
            f"the key is retired above level {marks.last_level}: that can be lowered, never raised"
        )
    return replace(marks, last_level=last_level)


def close_marks(marks: Marks, chain_id: bytes) -> Marks:
    """Returns marks with which nothing can be signed any more: the highest level so far is used up
    and is the last one.

    Args:
        chain_id: the one that the key signs on; a retired key stays there.
    """
    level = marks.on_chain(chain_id).highest or 0
    last_level = level if marks.last_level is None else min(level, marks.last_level)
    return replace(raise_to(marks, chain_id, level), last_level=last_level)


def merge_marks(marks: Marks, others: Marks) -> Marks:
    """Returns the higher mark of each chain and kind; what comes from `others` gives no right to
    sign again. A key that is retired in either is retired.

    Raises:
        ChangeRefused: marks on a chain were lost on one side, so what the other has may be too low.
        WrongChain: together they have more chains than there is room for.
    """
    _check_known(marks, others)
    _check_known(others, marks)
    merged = marks
    for other in others.chains:
        chain = merged.on_chain(other.chain_id)
        signed = [level for level in (chain.signed_level, other.signed_level) if level is not None]
        for kind in Kind:
            highest = _higher(chain.of_kind(kind), other.of_kind(kind))
            chain = chain.with_mark(kind, highest, max(signed, default=None))
        merged = merged.with_chain(chain, merged.bound_chain)
    last = [level for level in (marks.last_level, others.last_level) if level is not None]
    return replace(
        merged,
        last_level=min(last, default=None),
        are_partial=marks.are_partial or others.are_partial,
    )


def check_plausible(marks: Marks, others: Marks) -> None:
    """Keeps a file that is damaged, or misread, from using up levels that are years away.

    Raises:
        ChangeRefused: marks in `others` are as far above as no payload may be (see `marks.decide`).
    """
    for other in others.chains:
        own = marks.on_chain(other.chain_id).highest
        if own is not None and (other.highest or 0) > own + LEVEL_JUMP_LIMIT:
            raise ChangeRefused(
                f"level {other.highest} is more than {LEVEL_JUMP_LIMIT} above {own}, the highest "
                "so far: set the level first, if that is right"
            )


def _check_known(partial: Marks, others: Marks) -> None:
    for chain in others.chains:
        if partial.are_partial and not partial.has_chain(chain.chain_id):
            name = encode_chain_id(chain.chain_id)
            raise ChangeRefused(f"marks of this key on {name} were lost: set its level there first")


def _higher(mark: Mark | None, other: Mark | None) -> Mark | None:
    """Returns the higher one. Only `mark`, which is the key's own, may keep its right."""
    if other is None:
        return mark
    if mark is None or (mark.level, mark.round) < (other.level, other.round):
        return replace(other, may_resign=False)
    is_other_payload = mark.payload_hash != other.payload_hash
    if (mark.level, mark.round) == (other.level, other.round) and is_other_payload:
        # Two payloads for one place, or one that is not known: none of them is signed again.
        return replace(mark, payload_hash=_UNKNOWN_HASH, may_resign=False)
    return mark
