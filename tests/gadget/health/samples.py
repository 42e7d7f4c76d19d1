"""A board on which all is well, as a sample, for tests that change one thing of it."""

from dataclasses import replace

from broker.latency import LatencyFigures
from gadget.health.figures import (
    BoardFigures,
    DescriptorFigures,
    KernelQueueFigures,
    KeyFigures,
    KeysFigures,
    LatencySplit,
    LogFigures,
    MemoryFigures,
    QueueFigures,
    Recoveries,
    SigningFigures,
    SoftwareHealth,
    StackFigures,
    StorageFigures,
    TaskFigures,
    UsbFigures,
)
from gadget.health.report import Sample
from gadget.health.rolling import NamedCount
from gadget.health.settings import HealthSettings

__all__ = ["AILING", "GOOD", "LATENCY", "with_key", "with_software"]

LATENCY = LatencyFigures(count=100, p50_ms=4.0, p95_ms=6.0, p99_ms=8.0, max_ms=9.5)

GOOD = Sample(
    timestamp="2026-11-20T08:00:00Z",
    boot_id="3f6c0b9e-0000-4000-8000-000000000000",
    boottime_seconds=90_000.0,
    software_health=SoftwareHealth(
        uptime_seconds=86_000.0,
        restart_count=0,
        restarts_last_hour=0,
        last_crash=None,
        crash_count_24h=0,
        crashes=(),
        tasks=(
            TaskFigures(
                name="usb",
                status="serving",
                last_heartbeat_seconds_ago=2.0,
                is_late=False,
                restarts=0,
                cpu_seconds=12.0,
            ),
        ),
        memory=MemoryFigures(
            rss_bytes=40_000_000,
            heap_bytes=30_000_000,
            peak_bytes=110_000_000,
            baseline_bytes=30_000_000,
            leak_suspected=False,
        ),
        stack=StackFigures(
            main_bytes=140_000, threads_peak_bytes=32_768, thread_limit_bytes=524_288
        ),
        recoveries=Recoveries(
            process_restarts=0,
            task_restarts=0,
            stuck_tasks_restarted=0,
            usb_bounces=0,
            marks_replaced=0,
        ),
        file_descriptors=DescriptorFigures(open=30, max=4096, leaked=0),
        threads=1,
        cpu_seconds=12.5,
        queues=(
            QueueFigures(interface=0, waiting=0, waiting_peak=2, in_progress=0, dropped=0),
            QueueFigures(interface=1, waiting=0, waiting_peak=1, in_progress=0, dropped=0),
        ),
        kernel_queues=tuple(
            KernelQueueFigures(name=name, in_flight=0, in_flight_peak=1, places=8)
            for name in ("usb 0 in", "usb 0 out", "usb 1 in", "usb 1 out", "marks")
        ),
        errors=(),
    ),
    signing=SigningFigures(
        signatures=5000,
        signatures_last_hour=100,
        latency=LatencySplit(
            total=LATENCY, usb=LATENCY, queue=LATENCY, marks=LATENCY, signature=LATENCY
        ),
        rejections=(),
    ),
    usb=UsbFigures(
        state="serving", enables=1, disables=0, suspends=0, recoveries=0, sessions_last_hour=1
    ),
    keys=KeysFigures(
        initialised=True,
        problem="",
        keys=(
            KeyFigures(id="consensus", pkh="tz4a", lock_state="unlocked", marks_problem=""),
            KeyFigures(id="companion", pkh="tz4b", lock_state="unlocked", marks_problem=""),
        ),
    ),
    storage=StorageFigures(
        total_bytes=400_000_000,
        free_bytes=390_000_000,
        read_only=False,
        write_errors=0,
        erase_wear_percent=None,
        problem="",
    ),
    board=BoardFigures(
        model="Raspberry Pi Zero 2 W Rev 1.0",
        kernel="6.12",
        version="0.1",
        protocol=1,
        image_version="1.0",
        image_date="2026-11-20",
        image_hash="",
        temperature_celsius=45.0,
        under_voltage=False,
    ),
    log=LogFigures(lines=1000, bytes=200_000, bytes_last_hour=20_000),
    settings=HealthSettings().figures(),
)


def with_software(**changes: object) -> Sample:
    software = replace(GOOD.software_health, **changes)  # type: ignore[arg-type]
    return replace(GOOD, software_health=software)


def with_key(**changes: object) -> Sample:
    """The first key changed."""
    first, *others = GOOD.keys.keys
    changed = replace(first, **changes)  # type: ignore[arg-type]
    return replace(GOOD, keys=replace(GOOD.keys, keys=(changed, *others)))


# Has something in each list that is empty on a good board.
AILING = replace(
    with_software(
        errors=(NamedCount(name="requests dropped", last_hour=1, total=2),),
        recoveries=replace(GOOD.software_health.recoveries, marks_replaced=1),
    ),
    signing=replace(
        GOOD.signing,
        rejections=(NamedCount(name="unlock_throttled", last_hour=1, total=3),),
    ),
    storage=replace(GOOD.storage, erase_wear_percent=90),
)
