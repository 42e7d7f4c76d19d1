"""The watermark policy, one rule after the other."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gadget.keychain.errors import KeyRetired, LevelJump, StaleWatermark, WrongChain
from gadget.keychain.marks import (
    CHAINS_LIMIT,
    LEVEL_JUMP_LIMIT,
    Advance,
    ChainMarks,
    Mark,
    Marks,
    Repeat,
    decide,
)
from tezos.consensus import ConsensusPayload, Kind
from tezos.keys import MAINNET

_OTHER = b"\x01\x02\x03\x04"
_HASH = b"h" * 32
_INT32_MAX = 2**31 - 1


def _payload(
    level: int, round_: int = 0, kind: Kind = Kind.ATTESTATION, chain_id: bytes = MAINNET
) -> ConsensusPayload:
    return ConsensusPayload(kind=kind, chain_id=chain_id, level=level, round=round_)


def _mark(level: int, round_: int = 0, *, may_resign: bool = True) -> Mark:
    return Mark(level=level, round=round_, payload_hash=_HASH, may_resign=may_resign)


def _marks(level: int, round_: int = 0, *, may_resign: bool = True) -> Marks:
    chain = ChainMarks(
        chain_id=MAINNET,
        signed_level=level,
        attestation=_mark(level, round_, may_resign=may_resign),
    )
    return Marks(chains=(chain,))


def _advance(marks: Marks, payload: ConsensusPayload, chain_id: bytes | None = MAINNET) -> Marks:
    decision = decide(marks, payload, b"n" * 32, chain_id)
    assert isinstance(decision, Advance)
    return decision.marks


def test_higher_level_is_signed() -> None:
    mark = _advance(_marks(10, 5), _payload(11)).on_chain(MAINNET).attestation
    assert mark == Mark(level=11, round=0, payload_hash=b"n" * 32, may_resign=True)


def test_same_level_higher_round_is_signed() -> None:
    mark = _advance(_marks(10, 5), _payload(10, 6)).on_chain(MAINNET).attestation
    assert mark is not None
    assert (mark.level, mark.round) == (10, 6)


@pytest.mark.parametrize(("level", "round_"), [(9, 0), (9, 6), (10, 4), (0, 0), (9, _INT32_MAX)])
def test_lower_place_is_refused(level: int, round_: int) -> None:
    with pytest.raises(StaleWatermark):
        decide(_marks(10, 5), _payload(level, round_), _HASH, MAINNET)


def test_same_place_other_payload_is_refused() -> None:
    with pytest.raises(StaleWatermark, match="another payload was signed there"):
        decide(_marks(10, 5), _payload(10, 5), b"o" * 32, MAINNET)


def test_same_payload_is_repeated() -> None:
    assert isinstance(decide(_marks(10, 5), _payload(10, 5), _HASH, MAINNET), Repeat)


def test_a_mark_that_was_set_gives_no_right_to_sign_again() -> None:
    with pytest.raises(StaleWatermark, match="used up"):
        decide(_marks(10, 5, may_resign=False), _payload(10, 5), _HASH, MAINNET)


def test_a_level_that_is_used_up_refuses_every_round_and_the_next_level_goes_on() -> None:
    marks = _marks(10, _INT32_MAX, may_resign=False)
    for round_ in (0, 1, _INT32_MAX):
        with pytest.raises(StaleWatermark):
            decide(marks, _payload(10, round_), _HASH, MAINNET)
    _advance(marks, _payload(11))


def test_kinds_are_independent() -> None:
    marks = _marks(10, 5)
    for kind in (Kind.BLOCK, Kind.PREATTESTATION):
        marks = _advance(marks, _payload(3, 0, kind))
    chain = marks.on_chain(MAINNET)
    assert chain.attestation == _mark(10, 5)
    assert chain.block is not None
    assert chain.preattestation is not None
    assert (chain.block.level, chain.preattestation.level) == (3, 3)


def test_the_first_mark_of_a_key_may_be_at_any_level() -> None:
    _advance(Marks(), _payload(_INT32_MAX, _INT32_MAX))
    _advance(Marks(), _payload(0))


def test_level_jump_is_refused() -> None:
    marks = _marks(10)
    _advance(marks, _payload(10 + LEVEL_JUMP_LIMIT))
    with pytest.raises(LevelJump):
        decide(marks, _payload(11 + LEVEL_JUMP_LIMIT), _HASH, MAINNET)


def test_level_jump_counts_from_the_highest_of_any_kind() -> None:
    marks = _marks(1_000_000)
    _advance(marks, _payload(1_000_001, 0, Kind.BLOCK))
    with pytest.raises(LevelJump):
        decide(marks, _payload(1_200_001, 0, Kind.BLOCK), _HASH, MAINNET)


def test_level_jump_counts_from_a_higher_mark_that_was_set() -> None:
    chain = ChainMarks(chain_id=MAINNET, signed_level=10, block=_mark(900_000, may_resign=False))
    _advance(Marks(chains=(chain,)), _payload(1_000_000))


def test_marks_that_were_only_set_leave_the_first_level_free() -> None:
    chain = ChainMarks(chain_id=MAINNET, attestation=_mark(10, may_resign=False))
    _advance(Marks(chains=(chain,)), _payload(5_000_000))


def test_other_chain_is_refused() -> None:
    with pytest.raises(WrongChain):
        decide(_marks(10), _payload(11, chain_id=_OTHER), _HASH, MAINNET)


def test_first_chain_binds() -> None:
    marks = _advance(Marks(), _payload(10, chain_id=_OTHER), None)
    assert marks.bound_chain == _OTHER
    _advance(marks, _payload(11, chain_id=_OTHER), None)
    with pytest.raises(WrongChain):
        decide(marks, _payload(11), _HASH, None)


def test_the_chain_of_the_key_wins_over_the_first_one_signed() -> None:
    marks = _advance(Marks(), _payload(10, chain_id=_OTHER), None)
    marks = _advance(marks, _payload(11), MAINNET)
    assert len(marks.chains) == 2


def test_marks_are_kept_per_chain() -> None:
    marks = _advance(_marks(10), _payload(3, chain_id=_OTHER), _OTHER)
    assert marks.on_chain(MAINNET) == _marks(10).on_chain(MAINNET)
    with pytest.raises(StaleWatermark):
        decide(marks, _payload(10, 0), b"o" * 32, MAINNET)


def test_no_more_chains_than_there_is_room_for() -> None:
    marks = Marks()
    for number in range(CHAINS_LIMIT):
        chain_id = bytes([number]) * 4
        marks = _advance(marks, _payload(1, chain_id=chain_id), chain_id)
    with pytest.raises(WrongChain, match="no room"):
        decide(marks, _payload(1), _HASH, MAINNET)


def test_retired_key_signs_up_to_its_last_level() -> None:
    marks = Marks(last_level=10)
    _advance(marks, _payload(10))
    with pytest.raises(KeyRetired):
        decide(marks, _payload(11), _HASH, MAINNET)


def test_advancing_keeps_the_last_level() -> None:
    assert _advance(Marks(last_level=10), _payload(9)).last_level == 10


_PLACES = st.tuples(st.integers(0, 3), st.integers(0, 2))


@given(st.lists(st.tuples(st.sampled_from(Kind), _PLACES, st.sampled_from([b"a", b"b"]))))
def test_no_sequence_of_requests_signs_two_payloads_in_one_place(
    requests: list[tuple[Kind, tuple[int, int], bytes]],
) -> None:
    marks = Marks()
    signed: dict[tuple[Kind, tuple[int, int]], bytes] = {}
    for kind, place, content in requests:
        try:
            decision = decide(marks, _payload(*place, kind), content * 32, MAINNET)
        except StaleWatermark:
            assert any(k is kind and p >= place for k, p in signed)
            continue
        assert signed.setdefault((kind, place), content) == content
        marks = decision.marks if isinstance(decision, Advance) else marks


def test_a_chain_whose_marks_were_lost_is_not_signed_on() -> None:
    partial = replace(_marks(10), are_partial=True)
    assert _advance(partial, _payload(11)).are_partial
    with pytest.raises(WrongChain, match="lost"):
        decide(partial, _payload(11, chain_id=_OTHER), _HASH, _OTHER)


@pytest.mark.parametrize(("level", "round_"), [(-1, 0), (0, -1), (2**31, 0), (0, 2**31)])
def test_no_mark_is_out_of_range(level: int, round_: int) -> None:
    with pytest.raises(ValueError, match="expected 0 to"):
        _mark(level, round_)


def test_wrong_values_can_not_exist() -> None:
    chain = ChainMarks(chain_id=MAINNET)
    for make in (
        lambda: Mark(level=0, round=0, payload_hash=b"short", may_resign=False),
        lambda: ChainMarks(chain_id=b"abc"),
        lambda: ChainMarks(chain_id=MAINNET, signed_level=-1),
        lambda: Marks(chains=(chain, chain)),
        lambda: Marks(last_level=2**31),
        lambda: Marks(bound_chain=b""),
        lambda: Marks(chains=tuple(ChainMarks(chain_id=bytes([n]) * 4) for n in range(17))),
    ):
        with pytest.raises(ValueError, match=r"."):
            make()
