"""Crash records: bounded, told apart from junk, dated as well as can be, without values."""

from hypothesis import given
from hypothesis import strategies as st

from gadget.health.crash_record import (
    FILE_BYTES,
    CrashHistory,
    CrashRecord,
    count_last_day,
    decode_history,
    encode_history,
    forget_old,
    parse_fatal_text,
)

DAY_S = 86_400.0


def record(
    reason: str = "killed", *, boot_id: str = "now", at_s: float = 10.0, unix_s: float | None = None
) -> CrashRecord:
    return CrashRecord(
        reason=reason,
        boot_id=boot_id,
        boottime_s=at_s,
        unix_s=unix_s,
        version="1",
        trace=("a:1 f",),
    )


def test_what_is_written_is_read_back() -> None:
    history = CrashHistory(open_boot_id="b").with_record(record("one")).with_record(record("two"))
    assert decode_history(encode_history(history)) == history


def test_it_stays_within_its_block_and_keeps_the_newest() -> None:
    history = CrashHistory()
    for number in range(100):
        long = CrashRecord(
            reason=f"{number} " + "r" * 1000,
            boot_id="b" * 36,
            boottime_s=1.0,
            unix_s=2e9,
            version="v" * 100,
            trace=("é" * 500,) * 50,
        )
        history = history.with_record(long)
        data = encode_history(history)
        assert len(data) == FILE_BYTES
    kept = decode_history(data)
    assert kept is not None
    assert 1 <= len(kept.records) <= 16
    assert kept.records[-1].reason.startswith("99 ")


@given(st.binary(max_size=300))
def test_junk_is_no_history(data: bytes) -> None:
    assert decode_history(data) is None


@given(st.integers(0, 200))
def test_a_torn_write_is_seen(at: int) -> None:
    old = encode_history(CrashHistory(open_boot_id="old").with_record(record("x" * 90)))
    new = encode_history(CrashHistory(open_boot_id="new").with_record(record("y" * 90)))
    decoded = decode_history(new[:at] + old[at:])
    assert decoded in (None, decode_history(old), decode_history(new))


def test_a_day_is_counted_by_the_boot_or_by_the_time_of_day() -> None:
    records = (
        record(at_s=50_000.0),  # this boot, lately
        record(at_s=1.0),  # this boot, long ago
        record(boot_id="before", unix_s=2e9 - 100),
        record(boot_id="before", unix_s=2e9 - DAY_S - 1),
    )
    assert count_last_day(records, "now", 100_000.0, 2e9) == 2


def test_one_of_an_unknown_age_counts_for_the_first_day_of_this_boot() -> None:
    unknown = (record(boot_id="before"),)
    assert count_last_day(unknown, "now", 100.0, None) == 1
    assert count_last_day(unknown, "now", DAY_S + 1, None) == 0


def test_only_what_is_known_to_be_old_is_forgotten() -> None:
    history = CrashHistory(
        records=(
            record("old", boot_id="before", unix_s=2e9 - 8 * DAY_S),
            record("young", boot_id="before", unix_s=2e9 - 6 * DAY_S),
            record("unknown", boot_id="before"),
        )
    )
    kept = forget_old(history, 7, "now", 100.0, 2e9)
    assert [kept_record.reason for kept_record in kept.records] == ["young", "unknown"]


FATAL = """Fatal Python error: Segmentation fault

Thread 0x00007f (most recent call first):
  File "/usr/lib/python3.11/threading.py", line 5 in wait

Current thread 0x00007e (most recent call first):
  File "/app/lib/gadget/aio.py", line 12 in submit
  File "/app/lib/gadget/daemon.py", line 3 in run_daemon

Extension modules: msgpack._cmsgpack (total: 1)
"""


def test_what_faulthandler_wrote_gives_the_stack_of_the_thread_that_was_hit() -> None:
    assert parse_fatal_text(FATAL) == (
        "fatal signal: Segmentation fault",
        ("gadget/aio.py:12 submit", "gadget/daemon.py:3 run_daemon"),
    )


@given(st.text(max_size=200))
def test_any_text_is_read_without_a_fault(text: str) -> None:
    parse_fatal_text(f"Fatal Python error: x\nCurrent thread\n{text}")
    assert parse_fatal_text("nothing\n") is None
