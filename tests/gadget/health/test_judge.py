"""The table fault → alert: each row is one thing that is wrong, and what the report says then."""

import json
from dataclasses import fields, replace

import pytest

from gadget.health.figures import Crash
from gadget.health.judge import Judge
from gadget.health.report import Checks, Report, Sample, encode_report
from gadget.health.rolling import NamedCount
from gadget.health.rules import RULES
from tests.gadget.health.samples import GOOD, LATENCY, with_key, with_software

SOFTWARE = GOOD.software_health
CRASH = Crash(
    reason="killed", at=None, boot_id="b", boottime_seconds=1.0, version="1", trace=("a.py:1 f",)
)


def no_stamp(_boottime_s: float) -> str | None:
    return None


def judge(sample: Sample) -> Report:
    return Judge(no_stamp).judge(sample)


def counted(name: str, count: int) -> tuple[NamedCount, ...]:
    return (NamedCount(name=name, last_hour=count, total=count),)


def errors(name: str, count: int = 1) -> Sample:
    return with_software(errors=counted(name, count))


def rejections(name: str, count: int = 1) -> Sample:
    return replace(GOOD, signing=replace(GOOD.signing, rejections=counted(name, count)))


def recoveries(**changes: int) -> Sample:
    return with_software(recoveries=replace(SOFTWARE.recoveries, **changes))


def storage(**changes: object) -> Sample:
    return replace(GOOD, storage=replace(GOOD.storage, **changes))  # type: ignore[arg-type]


def usb(**changes: object) -> Sample:
    return replace(GOOD, usb=replace(GOOD.usb, **changes))  # type: ignore[arg-type]


def board(**changes: object) -> Sample:
    return replace(GOOD, board=replace(GOOD.board, **changes))  # type: ignore[arg-type]


def slow(p99_ms: float, count: int) -> Sample:
    total = replace(LATENCY, p99_ms=p99_ms, count=count)
    latency = replace(GOOD.signing.latency, total=total)
    return replace(GOOD, signing=replace(GOOD.signing, latency=latency))


def keys(**changes: object) -> Sample:
    return replace(GOOD, keys=replace(GOOD.keys, **changes))  # type: ignore[arg-type]


def files(**changes: int) -> Sample:
    return with_software(file_descriptors=replace(SOFTWARE.file_descriptors, **changes))


def memory(**changes: object) -> Sample:
    return with_software(memory=replace(SOFTWARE.memory, **changes))  # type: ignore[arg-type]


ALL_LOCKED = tuple(replace(key, lock_state="locked") for key in GOOD.keys.keys)

# What is wrong, the alert's code, its level, the check that fails.
FAULTS: tuple[tuple[Sample, str, str, str | None], ...] = (
    (with_software(tasks=(replace(SOFTWARE.tasks[0], is_late=True),)),
     "task_late", "critical", "tasks_responsive"),
    (errors("part failed, starting again", 6), "task_failing", "warning", "tasks_responsive"),
    (recoveries(stuck_tasks_restarted=1), "task_stuck", "warning", "tasks_responsive"),
    (errors("request handler failed"), "internal_errors", "warning", "tasks_responsive"),
    (memory(rss_bytes=170 << 20), "memory_high", "critical", "memory_stable"),
    (memory(leak_suspected=True), "memory_growth", "warning", "memory_stable"),
    (files(open=2049), "descriptors_half", "warning", "descriptors_ok"),
    (files(leaked=9), "descriptors_growth", "warning", "descriptors_ok"),
    (with_software(restarts_last_hour=6), "crash_loop", "critical", "no_recent_crashes"),
    (with_software(crash_count_24h=1, last_crash=CRASH),
     "recent_crash", "warning", "no_recent_crashes"),
    (storage(problem="it is gone"), "disk_unreadable", "critical", "disk_ok"),
    (storage(read_only=True), "disk_read_only", "critical", "disk_ok"),
    (storage(write_errors=1), "disk_errors", "critical", "disk_ok"),
    (errors("marks could not be recorded"), "marks_not_recorded", "critical", "disk_ok"),
    (storage(free_bytes=39_000_000), "disk_low", "warning", "disk_ok"),
    (storage(erase_wear_percent=80), "card_worn", "warning", "disk_ok"),
    (usb(state="waiting for USB"), "usb_down", "critical", "usb_ok"),
    (errors("announced transfers never complete, usb controller seems wedged"),
     "usb_wedged", "warning", "usb_ok"),
    (usb(sessions_last_hour=21), "session_churn", "warning", "usb_ok"),
    (keys(problem="both copies of the keystore are damaged", keys=()),
     "keystore_unusable", "critical", "keys_ready"),
    (keys(initialised=False, keys=()), "no_keys", "warning", "keys_ready"),
    (keys(keys=ALL_LOCKED), "keys_locked", "critical", "keys_ready"),
    (with_key(lock_state="locked"), "key_locked", "warning", "keys_ready"),
    (rejections("unlock_throttled"), "passphrase_throttled", "warning", "keys_ready"),
    (rejections("change_bad_passphrase", 3), "passphrase_wrong", "warning", None),
    (with_key(lock_state="unusable"), "marks_unusable", "critical", "watermarks_ok"),
    (with_key(marks_problem="copy 1 of the marks is damaged"),
     "marks_damaged", "critical", "watermarks_ok"),
    (recoveries(marks_replaced=1), "marks_replaced", "warning", "watermarks_ok"),
    (rejections("stale_watermark", 6), "stale_requests", "info", None),
    (errors("requests dropped"), "requests_dropped", "warning", None),
    (slow(1001.0, 20), "slow_signatures", "warning", None),
    (board(temperature_celsius=80.0), "hot", "warning", None),
    (board(under_voltage=True), "under_voltage", "warning", None),
    (replace(GOOD, log=replace(GOOD.log, bytes_last_hour=2_100_000)),
     "log_growth", "warning", None),
    (replace(GOOD, settings=replace(GOOD.settings, problems=("enabled: expected true",))),
     "settings", "warning", None),
    (replace(GOOD, settings=replace(GOOD.settings, enabled=False)), "switched_off", "info", None),
)  # fmt: skip
# Where a fault is so bad that a lesser rule speaks up too.
TOGETHER = (
    (files(open=3700), {"descriptors_full", "descriptors_half"}),
    (storage(free_bytes=500_000), {"disk_full", "disk_low"}),
)
# Just within what is allowed: no alert.
LIMITS = (
    errors("part failed, starting again", 5),
    memory(rss_bytes=160 << 20),
    files(open=2048),
    with_software(restarts_last_hour=5),
    storage(free_bytes=40_000_000),
    storage(erase_wear_percent=79),
    storage(write_errors=None),
    usb(sessions_last_hour=20),
    replace(usb(state="waiting for USB"), software_health=replace(SOFTWARE, uptime_seconds=59.0)),
    rejections("unlock_bad_passphrase", 2),
    rejections("stale_watermark", 5),
    slow(1000.0, 20),
    slow(5000.0, 19),
    board(temperature_celsius=79.9),
    board(temperature_celsius=None, under_voltage=None),
)


def test_where_all_is_well_the_report_says_so() -> None:
    report = judge(GOOD)
    assert (report.status, report.health_score, report.alerts) == ("healthy", 100, ())
    assert all(getattr(report.checks, field.name) for field in fields(Checks))
    assert report.recommendations == ()


@pytest.mark.parametrize(
    ("sample", "code", "level", "check"), FAULTS, ids=[code for _, code, *_ in FAULTS]
)
def test_each_fault_has_its_alert(sample: Sample, code: str, level: str, check: str | None) -> None:
    report = judge(sample)
    (alert,) = report.alerts
    assert (alert.code, alert.level) == (code, level)
    expected = {"critical": ("critical", 60), "warning": ("degraded", 90), "info": ("healthy", 100)}
    assert (report.status, report.health_score) == expected[level]
    failed = {field.name for field in fields(Checks) if not getattr(report.checks, field.name)}
    assert failed == ({check} if check else set())
    assert len(report.recommendations) == 1


@pytest.mark.parametrize(("sample", "codes"), TOGETHER)
def test_what_is_worse_has_both_alerts(sample: Sample, codes: set[str]) -> None:
    assert {alert.code for alert in judge(sample).alerts} == codes


@pytest.mark.parametrize("sample", LIMITS)
def test_what_is_within_the_limits_has_none(sample: Sample) -> None:
    assert judge(sample).alerts == ()


def test_every_rule_is_in_the_table() -> None:
    listed = {code for _, code, *_ in FAULTS}.union(*(codes for _, codes in TOGETHER))
    assert listed == {rule.code for rule in RULES}
    assert {rule.check for rule in RULES} == {field.name for field in fields(Checks)} | {None}


def test_an_alert_keeps_its_beginning_until_it_is_gone() -> None:
    first = Judge(lambda boottime_s: f"at {boottime_s:g}")
    fault = usb(sessions_last_hour=21)
    (begun,) = first.judge(replace(fault, boottime_seconds=100.0)).alerts
    (still,) = first.judge(replace(fault, boottime_seconds=160.0)).alerts
    assert (begun.since, still.since, still.since_boottime_seconds) == ("at 100", "at 100", 100.0)
    assert first.judge(GOOD).alerts == ()
    (again,) = first.judge(replace(fault, boottime_seconds=300.0)).alerts
    assert again.since_boottime_seconds == 300.0


def test_the_score_has_a_bottom() -> None:
    everything = replace(
        keys(keys=ALL_LOCKED),
        usb=replace(GOOD.usb, state="waiting for USB"),
        storage=replace(GOOD.storage, read_only=True, write_errors=3),
    )
    assert judge(everything).health_score == 0


def test_the_greatest_report_fits_into_a_message() -> None:
    key = replace(GOOD.keys.keys[0], id="k" * 64, pkh="tz4" + "x" * 33, lock_state="unusable",
                  marks_problem="copy 0 of the marks can't be read (OSError), " * 2)  # fmt: skip
    long_crash = replace(CRASH, reason="r" * 160, trace=("t" * 100,) * 8)
    many = tuple(NamedCount(name="n" * 60, last_hour=10**9, total=10**9) for _ in range(33))
    sample = replace(
        with_software(
            errors=many,
            crash_count_24h=16,
            last_crash=long_crash,
            crashes=(long_crash,) * 8,
            restarts_last_hour=60,
        ),
        keys=replace(GOOD.keys, keys=(key,) * 64),
        signing=replace(GOOD.signing, rejections=many),
        settings=replace(GOOD.settings, problems=("p" * 200,) * 10),
        storage=replace(GOOD.storage, read_only=True, write_errors=1, free_bytes=0),
    )
    report = judge(sample)
    assert json.loads(encode_report(report))["alerts"][0]["code"] == "crash_loop"
