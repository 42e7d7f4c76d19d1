"""What the witness refuses and concludes. Marks only rise."""

from dataclasses import replace

import pytest

from broker.messages import KeyStatus, MarksStatus, MarkStatus
from host.errors import WitnessRefusal
from host.witness import Place, SeenMark, Witness, hash_payload
from tests.host.fake_board import describe, make_signer
from tezos.consensus import Kind
from tezos.keys import KeyType

CHAIN = "NetXdQprcVkpaWU"
SIGNER = make_signer(KeyType.TZ1)
PLACE = Place(address=SIGNER.public_key.address, chain_id=CHAIN, kind=Kind.ATTESTATION)
A = hash_payload(b"a")
B = hash_payload(b"b")


def mark(level: int, round_: int = 0, payload_hash: bytes | None = A) -> SeenMark:
    return SeenMark(level=level, round=round_, payload_hash=payload_hash)


def report(level: int | None, round_: int = 0, *, chain_id: str | None = CHAIN) -> KeyStatus:
    """A key that has attested up to there, and done nothing else."""
    last = None if level is None else MarkStatus(level=level, round=round_)
    marks = MarksStatus(block=None, preattestation=None, attestation=last)
    return describe("key", SIGNER, marks=marks, chain_id=chain_id)


@pytest.mark.parametrize(
    ("asked", "is_allowed"),
    [
        (mark(101), True),
        (mark(100, 4), True),
        (mark(100, 3), True),
        (mark(100, 3, B), False),
        (mark(100, 2), False),
        (mark(99, 9), False),
        (mark(0), False),
    ],
)
def test_only_what_is_above_or_the_very_same_is_asked_of_the_board(
    asked: SeenMark, is_allowed: bool
) -> None:
    witness = Witness({PLACE: mark(100, 3)})
    if is_allowed:
        witness.check(PLACE, asked)
        return
    with pytest.raises(WitnessRefusal, match="level 100 round 3"):
        witness.check(PLACE, asked)


def test_each_key_chain_and_kind_has_its_own_mark() -> None:
    witness = Witness({PLACE: mark(100)})
    for other in (
        replace(PLACE, address="tz1other"),
        replace(PLACE, chain_id="NetXother"),
        replace(PLACE, kind=Kind.BLOCK),
    ):
        witness.check(other, mark(1))


def test_repeat_of_what_only_the_board_knows_is_the_boards_to_decide() -> None:
    witness = Witness()
    witness.see_report(report(100))
    witness.check(PLACE, mark(100))
    with pytest.raises(WitnessRefusal):
        witness.check(PLACE, mark(99))


def test_marks_only_rise_and_a_hash_is_not_forgotten() -> None:
    witness = Witness()
    for seen in (mark(100), mark(99, 9, B), mark(100, 0, None), mark(100, 0, B)):
        witness.see(PLACE, seen)
        assert witness.marks() == {PLACE: mark(100)}
    assert witness.version == 1
    witness.see(PLACE, mark(101, 0, None))
    witness.see(PLACE, mark(101, 0, B))
    assert witness.marks() == {PLACE: mark(101, 0, B)}


@pytest.mark.parametrize(
    ("status", "is_rollback"),
    [
        (report(100, 3), False),
        (report(101), False),
        (report(100, 2), True),
        (report(99, 9), True),
        (report(None), True),
        (report(None, chain_id=None), True),
        (report(None, chain_id="NetXother"), False),
        (replace(report(None), marks=None), False),
        (replace(report(None), pkh="tz1other"), False),
    ],
)
def test_board_that_reports_less_was_rolled_back(status: KeyStatus, is_rollback: bool) -> None:
    witness = Witness({PLACE: mark(100, 3)})
    found = witness.find_rollback(status)
    assert (found is not None) == is_rollback
    if found is not None:
        for part in ("level 100 round 3", "rolled back", "tezsign advanced set-level key"):
            assert part in found


def test_report_raises_every_kind() -> None:
    witness = Witness({PLACE: mark(100)})
    marks = MarksStatus(
        block=MarkStatus(level=5, round=0),
        preattestation=MarkStatus(level=6, round=1),
        attestation=MarkStatus(level=7, round=0),
    )
    witness.see_report(replace(report(None), marks=marks))
    heights = {place.kind: seen.height for place, seen in witness.marks().items()}
    assert heights == {Kind.BLOCK: (5, 0), Kind.PREATTESTATION: (6, 1), Kind.ATTESTATION: (100, 0)}


@pytest.mark.parametrize(
    ("level", "round_", "size"), [(-1, 0, 32), (2**31, 0, 32), (1, -1, 32), (1, 0, 31)]
)
def test_mark_out_of_range_cannot_exist(level: int, round_: int, size: int) -> None:
    with pytest.raises(ValueError, match="expected"):
        SeenMark(level=level, round=round_, payload_hash=bytes(size))
