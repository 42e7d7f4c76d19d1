"""The rules: what is wrong with a sample, how bad that is, what a person does about it. Pure.

One function for each rule, which returns the alert's message, or "" where all is well. The limits
are here and nowhere else; docs/operations.md explains them. Used by `gadget.health.judge`.
"""

from typing import Final

from gadget.health.figures import SoftwareHealth
from gadget.health.key_rules import KEY_RULES
from gadget.health.report import Sample
from gadget.health.rule import CRITICAL, INFO, WARNING, Rule, hourly
from gadget.health.storage_rules import STORAGE_RULES

__all__ = ["RULES"]

_START_S: Final = 60.0
_RESTARTS_PER_HOUR: Final = 5
_FAILURES_PER_HOUR: Final = 5
_SESSIONS_PER_HOUR: Final = 20
_RSS_LIMIT_BYTES: Final = 160 * 1024 * 1024  # of the 192 that the unit allows
_DESCRIPTORS_HALF: Final = 0.5
_DESCRIPTORS_FULL: Final = 0.9
_SLOW_P99_MS: Final = 1000.0
_SLOW_LEAST_COUNT: Final = 20
_HOT_CELSIUS: Final = 80.0
_LOG_BYTES_PER_DAY: Final = 50_000_000
# The fixed sentences of log lines that are counted by their text.
_PART_FAILED: Final = "part failed, starting again"
_HANDLER_FAILED: Final = "request handler failed"
_DROPPED: Final = "requests dropped"
_WEDGED: Final = "announced transfers never complete, usb controller seems wedged"


def _late_tasks(sample: Sample) -> str:
    late = [
        f"{task.name} ({task.last_heartbeat_seconds_ago or 0:.0f} s)"
        for task in sample.software_health.tasks
        if task.is_late
    ]
    return f"no sign of life from: {', '.join(late)}" if late else ""


def _failing_tasks(sample: Sample) -> str:
    count = hourly(sample.software_health.errors, _PART_FAILED)
    return f"tasks failed {count} times in an hour" if count > _FAILURES_PER_HOUR else ""


def _stuck_tasks(sample: Sample) -> str:
    count = sample.software_health.recoveries.stuck_tasks_restarted
    return f"tasks that hung were started again {count} times" if count else ""


def _bugs(sample: Sample) -> str:
    count = hourly(sample.software_health.errors, _HANDLER_FAILED)
    return f"{count} requests failed on a bug in the last hour" if count else ""


def _memory_leak(sample: Sample) -> str:
    memory = sample.software_health.memory
    if not memory.leak_suspected:
        return ""
    return f"memory grows: {_mib(memory.rss_bytes)}, {_mib(memory.baseline_bytes or 0)} at first"


def _memory_high(sample: Sample) -> str:
    rss_bytes = sample.software_health.memory.rss_bytes
    return f"the signer has {_mib(rss_bytes)} of memory" if rss_bytes > _RSS_LIMIT_BYTES else ""


def _descriptors_leak(sample: Sample) -> str:
    leaked = sample.software_health.file_descriptors.leaked
    return f"{leaked} files more are open than at first" if leaked else ""


def _descriptors_half(sample: Sample) -> str:
    return _descriptors_over(sample.software_health, _DESCRIPTORS_HALF)


def _descriptors_full(sample: Sample) -> str:
    return _descriptors_over(sample.software_health, _DESCRIPTORS_FULL)


def _descriptors_over(software: SoftwareHealth, share: float) -> str:
    files = software.file_descriptors
    return f"{files.open} of {files.max} files are open" if files.open > share * files.max else ""


def _crash_loop(sample: Sample) -> str:
    count = sample.software_health.restarts_last_hour
    return (
        f"the signer was restarted {count} times in an hour" if count > _RESTARTS_PER_HOUR else ""
    )


def _crashes(sample: Sample) -> str:
    software = sample.software_health
    if not software.crash_count_24h or software.last_crash is None:
        return ""
    return f"{software.crash_count_24h} crashes in a day, the last: {software.last_crash.reason}"


def _usb_down(sample: Sample) -> str:
    if sample.usb.state == "serving" or sample.software_health.uptime_seconds < _START_S:
        return ""
    return f"no host can ask for signatures: usb is {sample.usb.state}"


def _usb_wedged(sample: Sample) -> str:
    count = hourly(sample.software_health.errors, _WEDGED)
    return f"the usb controller hung {count} times in the last hour" if count else ""


def _session_churn(sample: Sample) -> str:
    count = sample.usb.sessions_last_hour
    return f"{count} usb sessions in an hour" if count > _SESSIONS_PER_HOUR else ""


def _requests_dropped(sample: Sample) -> str:
    return "requests were dropped" if hourly(sample.software_health.errors, _DROPPED) else ""


def _slow(sample: Sample) -> str:
    total = sample.signing.latency.total
    if total.count < _SLOW_LEAST_COUNT or total.p99_ms <= _SLOW_P99_MS:
        return ""
    return f"one of a hundred signatures takes {total.p99_ms:.0f} ms or more"


def _hot(sample: Sample) -> str:
    celsius = sample.board.temperature_celsius
    return f"the processor has {celsius:.0f} °C" if celsius and celsius >= _HOT_CELSIUS else ""


def _under_voltage(sample: Sample) -> str:
    return "the board's supply voltage is too low" if sample.board.under_voltage else ""


def _log_growth(sample: Sample) -> str:
    daily = sample.log.bytes_last_hour * 24
    return f"the log grows by {daily // 1_000_000} MB a day" if daily > _LOG_BYTES_PER_DAY else ""


def _settings(sample: Sample) -> str:
    return "; ".join(sample.settings.problems)


def _switched_off(sample: Sample) -> str:
    return "" if sample.settings.enabled else "the health check is switched off in the settings"


def _mib(size_bytes: int) -> str:
    return f"{size_bytes / 2**20:.0f} MiB"


_RESTART: Final = (
    "Restart the board at a quiet moment, and keep the output of: tezsign logs --lines 1000"
)
_CABLE: Final = "Check cable, port and hub, and that tezsign run is up: tezsign doctor."
_POWER: Final = "Use the power supply that belongs to the board, and a short cable."

RULES: Final[tuple[Rule, ...]] = (
    Rule("task_late", "tasks_responsive", CRITICAL, _late_tasks, _RESTART),
    Rule("task_failing", "tasks_responsive", WARNING, _failing_tasks, _RESTART),
    Rule("task_stuck", "tasks_responsive", WARNING, _stuck_tasks, _RESTART),
    Rule(
        "internal_errors",
        "tasks_responsive",
        WARNING,
        _bugs,
        "Report it with the output of: tezsign logs --lines 1000",
    ),
    Rule("memory_high", "memory_stable", CRITICAL, _memory_high, _RESTART),
    Rule("memory_growth", "memory_stable", WARNING, _memory_leak, _RESTART),
    Rule("descriptors_full", "descriptors_ok", CRITICAL, _descriptors_full, _RESTART),
    Rule("descriptors_half", "descriptors_ok", WARNING, _descriptors_half, _RESTART),
    Rule("descriptors_growth", "descriptors_ok", WARNING, _descriptors_leak, _RESTART),
    Rule(
        "crash_loop",
        "no_recent_crashes",
        CRITICAL,
        _crash_loop,
        "See last_crash and tezsign logs; power and SD card are the usual causes.",
    ),
    Rule(
        "recent_crash",
        "no_recent_crashes",
        WARNING,
        _crashes,
        "See last_crash: after a power cut nothing is to be done, anything else is to be reported.",
    ),
    *STORAGE_RULES,
    Rule("usb_down", "usb_ok", CRITICAL, _usb_down, _CABLE),
    Rule("usb_wedged", "usb_ok", WARNING, _usb_wedged, _CABLE),
    Rule("session_churn", "usb_ok", WARNING, _session_churn, _CABLE),
    *KEY_RULES,
    Rule(
        "requests_dropped",
        None,
        WARNING,
        _requests_dropped,
        "More than 40 requests were waiting: see who asks this signer.",
    ),
    Rule(
        "slow_signatures",
        None,
        WARNING,
        _slow,
        "See signing.latency: marks is the SD card, queue is too many requests, usb is the host.",
    ),
    Rule("hot", None, WARNING, _hot, "Give the board air."),
    Rule("under_voltage", None, WARNING, _under_voltage, _POWER),
    Rule(
        "log_growth",
        None,
        WARNING,
        _log_growth,
        "See tezsign logs for the line that comes again and again.",
    ),
    Rule(
        "settings", None, WARNING, _settings, "Correct tezsign.toml on the board's data partition."
    ),
    Rule("switched_off", None, INFO, _switched_off, "Set enabled = true in tezsign.toml."),
)
