"""Tests of the tests: a keyring with one broken part must not get past the state machine."""

from collections.abc import Callable
from random import Random
from struct import unpack_from

import pytest

from gadget.keychain import key, mark_record, mark_store
from gadget.keychain.durable import PendingWrite, Slots
from gadget.keychain.errors import NotRecorded
from gadget.keychain.mark_record import StoredMarks
from gadget.keychain.mark_store import MarkStore
from gadget.keychain.marks import Advance, Mark, Marks, Repeat, decide
from tests.fakes.disk import Fault
from tests.gadget.keychain.keyring_machine import KeyringMachine
from tezos.consensus import ConsensusPayload, Kind
from tezos.errors import BadPayload
from tezos.keys import KeyType

_TWO = "signed two payloads"
_BELOW = "signed below a released mark"
_LOST = "lost a mark"
_UNUSABLE = "not usable after recovery"
_RUNS = 60
_STEPS = 40


def _run_at_random(seed: int) -> None:
    """Takes the machine's steps as they come: finds more in a second than a search that learns."""
    random = Random(seed)  # noqa: S311

    def request() -> tuple[str, int, int, int]:
        kind = random.choice(("block", "preattestation", "attestation"))
        return kind, random.choice((1, 1, 0, -1)), random.randint(0, 1), random.randint(0, 1)

    def fault() -> tuple[int, Fault] | None:
        return random.choice((None, (random.randint(0, 5), random.choice(list(Fault)))))

    machine = KeyringMachine()
    machine.start(journals_data=seed % 2 == 0, seed=seed)
    steps: list[Callable[[], object]] = [
        lambda: machine.sign(request(), fault()),
        lambda: machine.sign_and_cut_power(request(), fault()),
        lambda: machine.sign_and_cut_power(request(), fault()),
        lambda: machine.sign_at_once([request() for _ in range(3)], fault()),
        lambda: machine.sign_malformed(request(), b"\0"),
        lambda: machine.destroy_one_slot(random.randint(0, 1), None, fault()),
        lambda: machine.kill(fault()),
    ]
    for _ in range(_STEPS):
        random.choice(steps)()
    machine.destroy_both_slots(None)


def _assert_caught(*reasons: str) -> None:
    """Runs the machine until an assertion of its model fails, for one of these reasons."""
    with pytest.raises((AssertionError, BaseExceptionGroup)) as caught:
        _run_often(_RUNS)
    error: BaseException = caught.value
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    assert isinstance(error, AssertionError)
    assert str(error).startswith(reasons)


def _run_often(runs: int) -> None:
    for seed in range(runs):
        _run_at_random(seed)


def test_the_real_keyring_gets_through() -> None:
    _run_often(5)


def test_marks_that_are_never_compared_are_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    def decide_blindly(
        marks: Marks, payload: ConsensusPayload, payload_hash: bytes, chain_id: bytes | None
    ) -> Advance:
        chain = marks.on_chain(payload.chain_id)
        mark = Mark(
            level=payload.level, round=payload.round, payload_hash=payload_hash, may_resign=True
        )
        changed = chain.with_mark(payload.kind, mark, payload.level)
        return Advance(marks=marks.with_chain(changed, None))

    monkeypatch.setattr(key, "decide", decide_blindly)
    _assert_caught(_TWO, _BELOW)


def test_a_write_that_is_not_waited_for_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    async def finish_at_once(self: MarkStore, pending: PendingWrite, marks: Marks) -> None:
        self.marks = marks
        self.is_confirmed = True

    monkeypatch.setattr(MarkStore, "finish", finish_at_once)
    _assert_caught(_LOST, _TWO, _UNUSABLE)


def test_a_write_that_is_believed_durable_too_early_is_caught(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(PendingWrite, "is_durable", lambda _: True)
    _assert_caught(_LOST, _TWO, _UNUSABLE)


def test_a_failed_write_that_is_believed_durable_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    def believe(self: PendingWrite) -> bool:
        return not self._rest and (self._sync.has_succeeded() or True)

    monkeypatch.setattr(PendingWrite, "is_durable", believe)
    _assert_caught(_LOST, _TWO, _UNUSABLE)


def test_a_write_to_one_slot_only_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    async def wait_for_the_first(self: PendingWrite) -> None:
        await self._sync.wait()

    monkeypatch.setattr(PendingWrite, "wait", wait_for_the_first)
    _assert_caught(_LOST, _TWO, _UNUSABLE)


def test_both_slots_at_once_are_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    def begin_at_once(self: Slots, blocks: tuple[bytes, bytes]) -> PendingWrite:
        writes = list(zip(self._handles, blocks, strict=True))
        return PendingWrite(self, blocks, self._disk.start_writes(writes), range(len(blocks) - 1))

    monkeypatch.setattr(Slots, "begin", begin_at_once)
    _assert_caught(_LOST, _TWO, _UNUSABLE)


def test_a_payload_that_is_read_loosely_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    def parse_loosely(payload: bytes, key_type: KeyType) -> ConsensusPayload:
        try:
            level, round_ = unpack_from(">ii", payload, 40)
            return ConsensusPayload(
                kind=Kind(payload[0]), chain_id=payload[1:5], level=abs(level), round=abs(round_)
            )
        except ValueError as error:
            raise BadPayload(str(error)) from error

    monkeypatch.setattr(key, "parse_payload", parse_loosely)
    _assert_caught("signed what is no payload", "refused what is free")


def test_zero_for_marks_that_are_missing_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    def assume_zero(found: tuple[StoredMarks | None, StoredMarks | None]) -> StoredMarks:
        if found == (None, None):
            return StoredMarks(sequence=0, marks=Marks())
        return mark_record.choose_newest(found)

    monkeypatch.setattr(mark_store, "choose_newest", assume_zero)
    _assert_caught("marks came from nowhere")


def test_a_failed_write_that_counts_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    real_finish = MarkStore.finish

    async def finish_anyway(self: MarkStore, pending: PendingWrite, marks: Marks) -> None:
        try:
            await real_finish(self, pending, marks)
        except NotRecorded:
            self.marks = marks
            self.is_confirmed = True

    monkeypatch.setattr(MarkStore, "finish", finish_anyway)
    _assert_caught(_LOST, _TWO, _UNUSABLE)


def test_a_repeat_of_anything_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    def decide_by_place(
        marks: Marks, payload: ConsensusPayload, payload_hash: bytes, chain_id: bytes | None
    ) -> Advance | Repeat:
        mark = marks.on_chain(payload.chain_id).of_kind(payload.kind)
        if mark is not None and (mark.level, mark.round) == (payload.level, payload.round):
            return Repeat()
        return decide(marks, payload, payload_hash, chain_id)

    monkeypatch.setattr(key, "decide", decide_by_place)
    _assert_caught(_TWO)
