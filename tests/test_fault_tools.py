"""The tools of tests/faults can fail: the oracle, the limits, the record, the table."""

import mmap
import os
import random
import signal
import threading
from pathlib import Path

import pytest

from broker.frame import ID_BYTES, Frame, FrameReader, FrameType, encode_frame
from broker.messages import ErrorCode
from host.errors import BadAnswer, NotReady, Refused
from tests.fakes.streams import memory_streams
from tests.faults.arguments import parse_arguments
from tests.faults.baseline import take_baseline, this_process
from tests.faults.findings import Findings, Outcome
from tests.faults.lanes import run_side_by_side, run_to_file
from tests.faults.ledger import KINDS, Ledger, Place, ask_at
from tests.faults.load import name_error
from tests.faults.lossy_stream import LossyStream
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


def test_patience_is_for_times_and_growth_only() -> None:
    findings = Findings(patience=3.0)
    findings.worst("answer, s", 2.5, 1.0)
    findings.worst("growth, %", 2.5, 1.0)
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


def frames_of(data: bytes) -> list[Frame]:
    reader = FrameReader()
    reader.feed(data, 0)
    frames = []
    while (frame := reader.next_frame(0)) is not None:
        frames.append(frame)
    assert reader.skipped_bytes == 0
    return frames


def request(number: int) -> bytes:
    return encode_frame(Frame(FrameType.REQUEST, number.to_bytes(ID_BYTES, "little"), b"x" * 900))


async def test_a_lossy_line_loses_and_doubles_whole_frames_both_ways() -> None:
    near, far = memory_streams()
    line = LossyStream(near, random.Random(1), 0.2)  # noqa: S311 - repeatable
    count = 500
    came = b""
    for number in range(count):
        await line.send(request(number))
        await far.send(request(number))
    for _ in range(line.counts["request arrived"] + line.counts["request doubled"]):
        came += await far.receive()
    assert (
        len(frames_of(came)) == count + line.counts["request doubled"] - line.counts["request lost"]
    )
    for fate in ("request lost", "request doubled"):
        assert 60 < line.counts[fate] < 140
    await far.aclose()
    back = [await line.receive() for _ in range(300)]
    assert len(frames_of(b"".join(back))) == 300
    assert sum(line.counts.values()) > count


async def test_a_line_that_stalls_brings_everything_in_one_piece() -> None:
    near, far = memory_streams()
    line = LossyStream(near, random.Random(1), 0)  # noqa: S311
    async with line.stall():
        for number in (1, 2, 1, 3, 2):
            await line.send(request(number))
    ids = [frame.id[0] for frame in frames_of(await far.receive())]
    assert ids == [1, 2, 3]


def _resident_bytes() -> int:
    """A run of all tests grows to a gigabyte."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGESIZE")


async def test_what_is_held_afterwards_is_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    findings = Findings()
    baseline = await take_baseline(this_process())
    monkeypatch.setattr("tests.faults.baseline._SETTLE_S", 0.1)
    held = os.open(os.devnull, os.O_RDONLY)
    # Pages of its own: what Python's allocator gives may have been resident before.
    with mmap.mmap(-1, 16 * 1024 * 1024 + _resident_bytes() // 10) as memory:
        memory.write(bytes(len(memory)))
        await baseline.check(findings)
    os.close(held)
    problems = findings.outcome("test", 1.0).problems
    assert any("descriptors of the host" in problem for problem in problems)
    assert any("growth of the host" in problem for problem in problems)


async def test_what_was_given_back_is_none() -> None:
    findings = Findings()
    baseline = await take_baseline(this_process())
    os.close(os.open(os.devnull, os.O_RDONLY))
    await baseline.check(findings)
    assert findings.outcome("test", 1.0).passed


def test_the_quick_form_has_what_fits_into_one_guest() -> None:
    full = {scenario.number for scenario in parse_arguments([]).scenarios}
    quick = {scenario.number for scenario in parse_arguments(["--quick"]).scenarios}
    assert full - quick == {"3c", "7"}
    with pytest.raises(SystemExit):
        parse_arguments(["--quick", "--only", "7"])


def test_two_lanes_run_everything_and_a_failure_leaves_no_process(tmp_path: Path) -> None:
    done: list[int] = []
    run_side_by_side(done.append, range(5), 2)
    assert sorted(done) == [0, 1, 2, 3, 4]
    is_waiting = threading.Event()

    def act(number: int) -> None:
        if number == 0:
            assert is_waiting.wait(10)
            raise KeyboardInterrupt
        is_waiting.set()
        done.append(run_to_file(["sleep", "1000"], tmp_path / "log", 1000))

    with pytest.raises(KeyboardInterrupt):
        run_side_by_side(act, range(3), 2)
    # The third may have begun before the failure was seen; whatever ran has been ended.
    assert set(done[5:]) <= {-signal.SIGTERM}
