"""The tools of tests/faults can fail: the oracle, the limits, the record, the table."""

import os
from pathlib import Path

import pytest

from broker.messages import ErrorCode
from host.errors import BadAnswer, NotReady, Refused
from tests.faults.findings import Findings, Outcome
from tests.faults.ledger import KINDS, Ledger, Place, ask_at
from tests.faults.load import name_error
from tests.faults.record import Record
from tests.faults.table import format_table
from tezos.consensus import parse_payload
from tezos.keys import KeyType
from tezos.signers import create_secret, open_signer

SIGNER = open_signer(KeyType.TZ4, create_secret(KeyType.TZ4, os.urandom))
ADDRESS = SIGNER.public_key.address
PLACE = Place(address=ADDRESS, kind="attestation", level=7)


@pytest.mark.parametrize("kind", KINDS)
def test_a_question_is_a_payload_for_its_place(kind: str) -> None:
    question = ask_at(Place(address=ADDRESS, kind=kind, level=12, round=3))
    parsed = parse_payload(question.payload, KeyType.TZ4)
    assert (parsed.kind.name.lower(), parsed.level, parsed.round) == (kind, 12, 3)
    assert ask_at(question.place).payload != question.payload


def test_ledger_sees_two_payloads_of_one_place() -> None:
    ledger = Ledger()
    assert ledger.enter(ask_at(PLACE), b"one") is None
    assert "TWO PAYLOADS" in (ledger.enter(ask_at(PLACE), b"two") or "")


def test_ledger_sees_two_signatures_of_one_payload() -> None:
    ledger, question = Ledger(), ask_at(PLACE)
    assert ledger.enter(question, b"one") is None
    assert ledger.enter(question, b"one") is None
    assert "two signatures" in (ledger.enter(question, b"two") or "")


def test_ledger_sees_a_signature_that_belongs_to_another_question() -> None:
    keys = {ADDRESS: SIGNER.public_key.base58}
    first, second = ask_at(PLACE), ask_at(Place(address=ADDRESS, kind="block", level=9))
    ledger = Ledger()
    ledger.enter(first, SIGNER.sign(first.payload))
    assert list(ledger.check_signatures(keys)) == []
    ledger.enter(second, SIGNER.sign(first.payload))
    (wrong,) = ledger.check_signatures(keys)
    assert "level=9" in wrong


def test_ledger_knows_the_highest_place_of_each_kind() -> None:
    ledger = Ledger()
    for level in (3, 11, 5):
        ledger.enter(ask_at(Place(address=ADDRESS, kind="block", level=level)), b"")
    (highest,) = ledger.latest()
    assert highest.place.level == 11


@pytest.mark.parametrize(
    "error",
    [Refused(ErrorCode.STALE_WATERMARK, "x"), Refused(ErrorCode.INTERNAL, "x"), BadAnswer("x")],
)
def test_an_error_that_no_request_may_end_with_has_no_name(error: Exception) -> None:
    assert name_error(error) is None


def test_an_error_that_tells_what_is_the_matter_has_a_name() -> None:
    assert name_error(NotReady("wait")) == "NotReady"
    assert name_error(Refused(ErrorCode.KEY_LOCKED, "x")) == "code 32"


def test_what_is_over_its_limit_is_a_problem_and_the_worst_is_kept() -> None:
    findings = Findings()
    for value in (0.5, 1.5, 0.7):
        findings.worst("answer, s", value, 1.0)
    outcome = findings.outcome("test", 1.0)
    assert not outcome.passed
    assert outcome.measures["answer, s"].value == 1.5
    assert len(outcome.problems) == 1


def test_patience_is_for_times_only() -> None:
    findings = Findings(patience=3.0)
    findings.worst("answer, s", 2.5, 1.0)
    assert findings.outcome("test", 1.0).passed
    findings.worst("growth, MiB", 2.5, 1.0)
    assert not findings.outcome("test", 1.0).passed


def kept_outcome(*, broken: bool = False) -> Outcome:
    findings = Findings()
    findings.count("cycles", 3)
    findings.worst("answer, s", 0.25, 1.0)
    findings.check(not broken, "a promise")
    return findings.outcome("a scenario", 2.0)


def test_record_goes_on_with_the_same_code_only(tmp_path: Path) -> None:
    path = tmp_path / "record.json"
    Record(path, form="full", code="a").keep("1", kept_outcome())
    assert Record(path, form="full", code="a").outcomes == {"1": kept_outcome()}
    assert Record(path, form="full", code="b").outcomes == {}
    assert Record(path, form="quick", code="a").outcomes == {}


def test_record_runs_again_what_failed(tmp_path: Path) -> None:
    path = tmp_path / "record.json"
    Record(path, form="full", code="a").keep("1", kept_outcome(broken=True))
    assert Record(path, form="full", code="a").outcomes == {}


def test_table_tells_counts_limits_and_problems() -> None:
    table = format_table({"1": kept_outcome(), "2": kept_outcome(broken=True)})
    assert "| 1 | a scenario | cycles 3 | answer, s 0.25 (at most 1) | kept, 2 s |" in table
    assert "BROKEN" in table
    assert "2: a promise" in table
