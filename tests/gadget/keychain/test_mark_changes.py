"""What a person may do to marks: nothing goes down, nothing gives a right to sign again."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gadget.keychain.errors import ChangeRefused, StaleWatermark, WrongChain
from gadget.keychain.mark_changes import (
    LAST_ROUND,
    lost_marks,
    merge_marks,
    retire_marks,
    set_level,
)
from gadget.keychain.marks import CHAINS_LIMIT, Advance, ChainMarks, Mark, Marks, Repeat, decide
from tezos.consensus import ConsensusPayload, Kind
from tezos.keys import MAINNET

_OTHER = b"\x01\x02\x03\x04"
_HASHES = (b"a" * 32, b"b" * 32)


def _marks(level: int, round_: int = 0, payload_hash: bytes = _HASHES[0]) -> Marks:
    mark = Mark(level=level, round=round_, payload_hash=payload_hash, may_resign=True)
    return Marks(chains=(ChainMarks(chain_id=MAINNET, signed_level=level, attestation=mark),))


def _payload(level: int, round_: int = 0, kind: Kind = Kind.ATTESTATION) -> ConsensusPayload:
    return ConsensusPayload(kind=kind, chain_id=MAINNET, level=level, round=round_)


def _attestation(marks: Marks) -> Mark:
    mark = marks.on_chain(MAINNET).attestation
    assert mark is not None
    return mark


_MARK = st.builds(
    Mark,
    level=st.integers(0, 3),
    round=st.integers(0, 2) | st.just(LAST_ROUND),
    payload_hash=st.sampled_from((*_HASHES, bytes(32))),
    may_resign=st.booleans(),
)
_MARKS = st.builds(
    Marks,
    chains=st.lists(
        st.builds(
            ChainMarks,
            chain_id=st.sampled_from([MAINNET, _OTHER]),
            signed_level=st.none() | st.integers(0, 9),
            block=st.none() | _MARK,
            preattestation=st.none() | _MARK,
            attestation=st.none() | _MARK,
        ),
        unique_by=lambda chain: chain.chain_id,
    ).map(tuple),
    last_level=st.none() | st.integers(0, 9),
)


def _check_not_weaker(before: Marks, after: Marks) -> None:
    """Whatever `after` lets through, `before` lets through."""
    for chain in before.chains:
        for kind in Kind:
            old, new = chain.of_kind(kind), after.on_chain(chain.chain_id).of_kind(kind)
            if old is not None:
                assert new is not None
                assert (new.level, new.round) >= (old.level, old.round)
    if before.last_level is not None:
        assert after.last_level is not None
        assert after.last_level <= before.last_level


def _check_no_new_right(before: Marks, after: Marks) -> None:
    for chain in after.chains:
        for kind in Kind:
            mark = chain.of_kind(kind)
            if mark is not None and mark.may_resign:
                assert mark == before.on_chain(chain.chain_id).of_kind(kind)


@given(_MARKS, _MARKS)
def test_merging_never_lowers_a_mark_and_gives_no_right(marks: Marks, others: Marks) -> None:
    merged = merge_marks(marks, others)
    _check_not_weaker(marks, merged)
    _check_not_weaker(others, merged)
    _check_no_new_right(marks, merged)
    assert merge_marks(merged, others) == merged


@given(_MARKS, st.sampled_from([MAINNET, _OTHER]), st.integers(0, 4))
def test_setting_a_level_uses_up_all_of_it_and_lowers_nothing(
    marks: Marks, chain_id: bytes, level: int
) -> None:
    try:
        after = set_level(marks, chain_id, level)
    except ChangeRefused:
        known = [marks.on_chain(chain_id).of_kind(kind) for kind in Kind]
        assert all(mark is not None and mark.level > level for mark in known)
        return
    _check_not_weaker(marks, after)
    _check_no_new_right(marks, after)
    assert set_level(after, chain_id, level) == after
    for kind in Kind:
        mark = after.on_chain(chain_id).of_kind(kind)
        assert mark is not None
        assert (mark.level, mark.round) >= (level, LAST_ROUND)


@given(_MARKS, st.integers(0, 9))
def test_a_retirement_is_lowered_and_never_raised(marks: Marks, last_level: int) -> None:
    if marks.last_level is not None and last_level > marks.last_level:
        with pytest.raises(ChangeRefused, match="never raised"):
            retire_marks(marks, last_level)
    else:
        assert retire_marks(marks, last_level) == replace(marks, last_level=last_level)


def test_the_level_after_the_one_that_was_set_is_the_first_that_is_signed() -> None:
    marks = set_level(_marks(10), MAINNET, 20)
    for kind in Kind:
        for place in ((10, 0), (20, 0), (20, LAST_ROUND)):
            with pytest.raises(StaleWatermark):
                decide(marks, _payload(*place, kind), _HASHES[0], MAINNET)
        assert isinstance(decide(marks, _payload(21, 0, kind), _HASHES[0], MAINNET), Advance)


def test_a_level_below_every_mark_is_not_set() -> None:
    full = set_level(Marks(), MAINNET, 30)
    with pytest.raises(ChangeRefused, match="never lowered"):
        set_level(full, MAINNET, 29)
    # Where one kind is behind, that one is raised.
    assert _attestation(set_level(_marks(30), MAINNET, 29)) == _attestation(_marks(30))


def test_no_room_for_another_chain() -> None:
    chains = tuple(ChainMarks(chain_id=bytes([n]) * 4) for n in range(CHAINS_LIMIT))
    with pytest.raises(WrongChain, match="no room"):
        set_level(Marks(chains=chains), MAINNET, 1)


def test_a_higher_mark_from_elsewhere_keeps_its_hash_and_has_no_right() -> None:
    merged = merge_marks(_marks(10), _marks(11, payload_hash=_HASHES[1]))
    assert _attestation(merged) == Mark(
        level=11, round=0, payload_hash=_HASHES[1], may_resign=False
    )


@pytest.mark.parametrize("other_hash", [_HASHES[1], bytes(32)])
def test_the_hash_is_dropped_where_equal_marks_disagree(other_hash: bytes) -> None:
    merged = merge_marks(_marks(10), _marks(10, payload_hash=other_hash))
    assert _attestation(merged) == Mark(level=10, round=0, payload_hash=bytes(32), may_resign=False)
    with pytest.raises(StaleWatermark):
        decide(merged, _payload(10), _HASHES[0], MAINNET)


def test_an_equal_mark_of_the_same_payload_changes_nothing() -> None:
    merged = merge_marks(_marks(10), _marks(10))
    assert merged == _marks(10)
    assert isinstance(decide(merged, _payload(10), _HASHES[0], MAINNET), Repeat)


def test_a_key_whose_marks_were_lost_knows_one_chain_only() -> None:
    marks = lost_marks(MAINNET, 100, 500)
    assert marks.last_level == 500
    assert isinstance(decide(marks, _payload(101), _HASHES[0], MAINNET), Advance)
    other = ConsensusPayload(kind=Kind.BLOCK, chain_id=_OTHER, level=101, round=0)
    with pytest.raises(WrongChain, match="lost"):
        decide(marks, other, _HASHES[0], _OTHER)
    known = set_level(marks, _OTHER, 100)
    assert isinstance(decide(known, other, _HASHES[0], _OTHER), Advance)


def test_marks_from_elsewhere_are_no_substitute_for_those_that_were_lost() -> None:
    partial = lost_marks(_OTHER, 100, None)
    for sides in ((partial, _marks(10)), (_marks(10), partial)):
        with pytest.raises(ChangeRefused, match="lost"):
            merge_marks(*sides)
    assert merge_marks(Marks(), partial).are_partial
