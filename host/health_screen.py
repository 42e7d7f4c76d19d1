"""The health report as lines for a person: state, bars, alerts, what to do. Pure.

A line is text with a style's name; `host.output` draws it. Called by `host.commands.health`.
"""

from collections.abc import Iterator
from typing import Final

from host.health_report import HealthReport
from host.output import StyledLine

__all__ = ["health_lines"]

_STYLES: Final = {
    "healthy": "green", "degraded": "yellow", "critical": "red",
    "warning": "yellow", "info": "cyan",
}  # fmt: skip
_BAR_CELLS: Final = 20
_CHECKS: Final = {
    "tasks_responsive": "tasks",
    "memory_stable": "memory",
    "descriptors_ok": "open files",
    "no_recent_crashes": "no crashes",
    "disk_ok": "card",
    "usb_ok": "usb",
    "keys_ready": "keys",
    "watermarks_ok": "watermarks",
}
_MINUTE_S: Final = 60
_HOUR_S: Final = 3600
_DAY_S: Final = 86_400


def health_lines(report: HealthReport, serial: str | None) -> Iterator[StyledLine]:
    """Gives the screen from top to bottom."""
    style = _STYLES[report.status]
    yield StyledLine(f"board {serial or '?'}: {report.status}", f"bold {style}")
    yield StyledLine(f"score      {_bar(report.score / 100)} {report.score}", style)
    yield from _checks(report)
    yield from _alerts(report)
    yield StyledLine("")
    yield from _figures(report)


def _checks(report: HealthReport) -> Iterator[StyledLine]:
    for name, title in _CHECKS.items():
        value = report.number(f"checks.{name}")
        if value is not None:
            yield StyledLine(f"  {'ok  ' if value else 'BAD '} {title}", "" if value else "red")


def _alerts(report: HealthReport) -> Iterator[StyledLine]:
    if not report.alerts:
        return
    yield StyledLine("")
    for alert in report.alerts:
        since = f" (since {alert.since})" if alert.since else ""
        yield StyledLine(f"{alert.level}: {alert.message}{since}", _STYLES.get(alert.level, "red"))
    yield StyledLine("")
    yield StyledLine("what to do:", "bold")
    for advice in report.recommendations:
        yield StyledLine(f"  - {advice}")


def _figures(report: HealthReport) -> Iterator[StyledLine]:
    unlocked = [key.get("lock_state") == "unlocked" for key in report.rows("keys.keys")]
    yield StyledLine(f"keys       {sum(unlocked)} of {len(unlocked)} unlocked")
    yield StyledLine(
        f"signatures {_count(report, 'signing.signatures')} since the start,"
        f" {_count(report, 'signing.signatures_last_hour')} in the last hour"
    )
    for step in ("total", "queue", "marks", "signature", "usb"):
        yield StyledLine(f"  {step:9}{_latency(report, f'signing.latency.{step}')}")
    refused = sum(_integer(row.get("last_hour")) for row in report.rows("signing.rejections"))
    yield StyledLine(f"refusals   {refused} in the last hour")
    yield StyledLine(
        f"up         {_duration(report.number('uptime_seconds'))},"
        f" {_count(report, 'software_health.restart_count')} restarts,"
        f" {_count(report, 'software_health.crash_count_24h')} crashes in a day"
    )
    yield _share(report, "open files", "software_health.file_descriptors.open",
                 "software_health.file_descriptors.max")  # fmt: skip
    rss_bytes = report.number("software_health.memory.rss_bytes")
    yield StyledLine(f"memory     {(rss_bytes or 0) / 2**20:.0f} MiB")
    yield _share(report, "card free", "storage.free_bytes", "storage.total_bytes")
    yield StyledLine(
        f"usb        {report.text('usb.state') or '?'},"
        f" {_count(report, 'usb.sessions_last_hour')} sessions in the last hour"
    )
    yield StyledLine(f"board      {_board(report)}")


def _board(report: HealthReport) -> str:
    celsius = report.number("board.temperature_celsius")
    parts = [
        report.text(f"board.{name}") for name in ("model", "version", "image_version", "kernel")
    ]
    if celsius is not None:
        parts.append(f"{celsius:.0f} °C")
    return ", ".join(part for part in parts if part)


def _latency(report: HealthReport, path: str) -> str:
    times = (report.number(f"{path}.{name}_ms") for name in ("p50", "p95", "p99", "max"))
    p50, p95, p99, longest = (time or 0.0 for time in times)
    return f" p50 {p50:8.2f}  p95 {p95:8.2f}  p99 {p99:8.2f}  max {longest:8.2f} ms"


def _share(report: HealthReport, title: str, part_path: str, whole_path: str) -> StyledLine:
    part, whole = report.number(part_path), report.number(whole_path)
    if part is None or not whole:
        return StyledLine(f"{title:10} ?")
    return StyledLine(f"{title:10} {_bar(part / whole)} {part / whole:.0%}")


def _bar(share: float) -> str:
    filled = round(max(0.0, min(1.0, share)) * _BAR_CELLS)
    return f"[{'#' * filled}{'.' * (_BAR_CELLS - filled)}]"


def _count(report: HealthReport, path: str) -> int:
    return int(report.number(path) or 0)


def _integer(value: object) -> int:
    return value if isinstance(value, int) else 0


def _duration(seconds: float | None) -> str:
    if seconds is None:
        return "?"
    whole = int(seconds)
    if whole >= _DAY_S:
        return f"{whole // _DAY_S} d {whole % _DAY_S // _HOUR_S} h"
    if whole >= _HOUR_S:
        return f"{whole // _HOUR_S} h {whole % _HOUR_S // _MINUTE_S} min"
    return f"{whole // _MINUTE_S} min {whole % _MINUTE_S} s"
