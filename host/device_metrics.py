"""The board's figures as metrics: which field of its report becomes which metric. Pure.

Called by `host.metrics_api`. A field that this board does not tell has no point.
"""

from collections.abc import Iterator
from typing import Final, NamedTuple

from host.health_report import STATUSES, HealthReport
from host.metrics_text import Metric, Point

__all__ = ["device_metrics"]


class _Row(NamedTuple):
    name: str
    kind: str
    path: str
    help: str


_ROWS: Final = (
    _Row("health_score", "gauge", "health_score", "0 to 100."),
    _Row("uptime_seconds", "gauge", "uptime_seconds", "Since the board's signer was started."),
    _Row("boottime_seconds", "gauge", "boottime_seconds", "Since the board was switched on."),
    _Row("restarts", "gauge", "software_health.restart_count", "Starts in this boot, less one."),
    _Row("crashes_day", "gauge", "software_health.crash_count_24h", "Crashes in 24 hours."),
    _Row("resident_bytes", "gauge", "software_health.memory.rss_bytes", "Memory of the signer."),
    _Row("heap_bytes", "gauge", "software_health.memory.heap_bytes", "Anonymous memory."),
    _Row("memory_baseline_bytes", "gauge", "software_health.memory.baseline_bytes",
         "Anonymous memory ten minutes after the start."),
    _Row("memory_leak_suspected", "gauge", "software_health.memory.leak_suspected", "1: it is."),
    _Row("open_descriptors", "gauge", "software_health.file_descriptors.open", "Open files."),
    _Row("max_descriptors", "gauge", "software_health.file_descriptors.max", "How many may be."),
    _Row("threads", "gauge", "software_health.threads", "Threads of the signer."),
    _Row("main_stack_bytes", "gauge", "software_health.stack.main_bytes", "Of the main thread."),
    _Row("thread_stack_peak_bytes", "gauge", "software_health.stack.threads_peak_bytes",
         "The most that a key derivation has used."),
    _Row("cpu_seconds_total", "counter", "software_health.cpu_seconds", "Processor time."),
    _Row("task_restarts_total", "counter", "software_health.recoveries.task_restarts",
         "Tasks that were started again."),
    _Row("usb_bounces_total", "counter", "software_health.recoveries.usb_bounces",
         "A wedged USB controller was bounced."),
    _Row("marks_replaced_total", "counter", "software_health.recoveries.marks_replaced",
         "Damaged copies of watermarks that were replaced."),
    _Row("signatures_total", "counter", "signing.signatures", "Signatures since the start."),
    _Row("usb_enables_total", "counter", "usb.enables", "USB sessions since the start."),
    _Row("usb_suspends_total", "counter", "usb.suspends", "Suspends of the bus."),
    _Row("storage_free_bytes", "gauge", "storage.free_bytes", "Free on the data partition."),
    _Row("storage_size_bytes", "gauge", "storage.total_bytes", "Size of the data partition."),
    _Row("storage_read_only", "gauge", "storage.read_only", "1: nothing can be written."),
    _Row("storage_errors", "gauge", "storage.write_errors", "Errors that the file system counted."),
    _Row("storage_wear_percent", "gauge", "storage.erase_wear_percent", "The card's life used up."),
    _Row("temperature_celsius", "gauge", "board.temperature_celsius", "Of the processor."),
    _Row("under_voltage", "gauge", "board.under_voltage", "1: the supply voltage is too low."),
    _Row("log_bytes_total", "counter", "log.bytes", "About what the board's journal has grown by."),
)  # fmt: skip
_STEPS: Final = ("total", "usb", "queue", "marks", "signature")
_TIMES: Final = ("p50", "p95", "p99", "max")
_CHECKS: Final = (
    "tasks_responsive", "memory_stable", "descriptors_ok", "no_recent_crashes", "disk_ok",
    "usb_ok", "keys_ready", "watermarks_ok",
)  # fmt: skip
_PREFIX: Final = "tezsign_device_"


def device_metrics(report: HealthReport) -> Iterator[Metric]:
    """All names begin with tezsign_device_."""
    for row in _ROWS:
        value = report.number(row.path)
        points = () if value is None else (Point(value=value),)
        yield Metric(name=_PREFIX + row.name, kind=row.kind, help=row.help, points=points)
    yield _gauge(
        "status",
        "1 for the state that the board is in.",
        [Point(value=s == report.status, labels={"status": s}) for s in STATUSES],
    )
    yield _gauge("check", "1: nothing speaks against it.", list(_checks(report)))
    yield _gauge(
        "alert",
        "1 for each alert of the board.",
        [Point(value=1, labels={"code": a.code, "level": a.level}) for a in report.alerts],
    )
    yield _gauge("latency_seconds", "Of the last hour, by step.", list(_latencies(report)))
    yield from _counts(report)
    yield _gauge("queue", "Waiting, or with the kernel.", list(_queues(report, "")))
    yield _gauge("queue_peak", "The most there were at once.", list(_queues(report, "_peak")))
    yield _gauge("key_unlocked", "1: the key can sign.", list(_keys(report)))
    yield _gauge("info", "What runs on the board.", [Point(value=1, labels=_info(report))])


def _gauge(name: str, help_text: str, points: list[Point]) -> Metric:
    return Metric(name=_PREFIX + name, kind="gauge", help=help_text, points=tuple(points))


def _checks(report: HealthReport) -> Iterator[Point]:
    for name in _CHECKS:
        value = report.number(f"checks.{name}")
        if value is not None:
            yield Point(value=value, labels={"check": name})


def _latencies(report: HealthReport) -> Iterator[Point]:
    for step in _STEPS:
        for time in _TIMES:
            value = report.number(f"signing.latency.{step}.{time}_ms")
            if value is not None:
                yield Point(value=value / 1000, labels={"step": step, "percentile": time})


def _counts(report: HealthReport) -> Iterator[Metric]:
    for name, path, label, help_text in (
        ("rejections_total", "signing.rejections", "reason", "Requests that the board refused."),
        ("log_problems_total", "software_health.errors", "line", "Warnings and errors it logged."),
    ):
        points = [
            Point(value=float(total), labels={label: str(row.get("name"))})
            for row in report.rows(path)
            if isinstance(total := row.get("total"), int)
        ]
        yield Metric(name=_PREFIX + name, kind="counter", help=help_text, points=tuple(points))


def _queues(report: HealthReport, suffix: str) -> Iterator[Point]:
    """Requests of each interface that no worker has yet, transfers and syncs of the kernel."""
    for row in report.rows("software_health.queues"):
        yield from _queue(f"requests {row.get('interface')}", row.get(f"waiting{suffix}"))
    for row in report.rows("software_health.kernel_queues"):
        yield from _queue(str(row.get("name")), row.get(f"in_flight{suffix}"))


def _queue(name: str, value: object) -> Iterator[Point]:
    if isinstance(value, int):
        yield Point(value=value, labels={"queue": name})


def _keys(report: HealthReport) -> Iterator[Point]:
    for key in report.rows("keys.keys"):
        labels = {"key": str(key.get("id")), "address": str(key.get("pkh"))}
        yield Point(value=key.get("lock_state") == "unlocked", labels=labels)


def _info(report: HealthReport) -> dict[str, str]:
    names = ("model", "kernel", "version", "image_version", "image_hash")
    return {name: report.text(f"board.{name}") or "" for name in names}
