"""Looks at everything once: parts, meters, keys, /proc, the card. Gives a `Sample`.

Reading takes a millisecond or two and waits for nothing; it is called once in each interval, and
when a host asks, at most each few seconds. The look at the mark files is the monitor's, on a
thread. Called by `gadget.health.monitor`.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from math import isinf
from pathlib import Path
from typing import Final, final

import trio

from gadget.health.board_figures import BoardFacts
from gadget.health.clock import BoardClock
from gadget.health.crash_log import CrashLog
from gadget.health.crash_record import CrashRecord
from gadget.health.figures import (
    Crash,
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
from gadget.health.growth import Growth, GrowthFigures
from gadget.health.log_tally import LogTally
from gadget.health.meters import Meters
from gadget.health.process_figures import ProcessFigures, read_process
from gadget.health.report import Sample
from gadget.health.settings import HealthSettings
from gadget.health.storage_figures import read_storage
from gadget.keychain.errors import KeystoreUnusable
from gadget.keychain.keyring import Keyring
from gadget.occupancy import Occupancy
from gadget.part import Part

__all__ = ["Collector", "Sources"]

_MEMORY_RATIO: Final = 1.5
_MEMORY_NOISE_BYTES: Final = 4 * 1024 * 1024
_DESCRIPTOR_RATIO: Final = 1.5
_DESCRIPTOR_NOISE: Final = 8
_CRASHES_TOLD: Final = 8
_MARKS_REPLACED: Final = "damaged copy of marks replaced"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """Whom the collector asks. `parts`: `usb` is the first one."""

    parts: Sequence[Part]
    keyring: Keyring
    meters: Meters
    log: LogTally
    crashes: CrashLog
    clock: BoardClock
    settings: HealthSettings
    data: Path
    board: BoardFacts
    read_process: Callable[[], ProcessFigures] = field(default=read_process)
    read_storage: Callable[[Path], StorageFigures] = field(default=read_storage)


@final
class Collector:
    """Remembers the baselines of memory and open files, and nothing else."""

    def __init__(self, sources: Sources) -> None:
        self._sources = sources
        self._started_s = sources.clock.now_s()
        self._memory = Growth(ratio=_MEMORY_RATIO, noise=_MEMORY_NOISE_BYTES)
        self._descriptors = Growth(ratio=_DESCRIPTOR_RATIO, noise=_DESCRIPTOR_NOISE)

    def watch_growth(self) -> None:
        """Takes the sample that growth is judged by; call it at a steady pace."""
        process = self._sources.read_process()
        uptime_s = self._sources.clock.now_s() - self._started_s
        self._memory.add(uptime_s, process.heap_bytes)
        self._descriptors.add(uptime_s, process.descriptors)

    def collect(self, damaged_marks: dict[str, str]) -> Sample:
        """Raises: OSError: /proc can't be read."""
        sources = self._sources
        now_s = sources.clock.now_s()
        return Sample(
            timestamp=sources.clock.stamp(now_s),
            boot_id=sources.clock.boot_id,
            boottime_seconds=round(now_s, 1),
            software_health=self._software(now_s),
            signing=self._signing(),
            usb=self._usb(),
            keys=self._keys(damaged_marks),
            storage=sources.read_storage(sources.data),
            board=sources.board.read(),
            log=LogFigures(
                lines=sources.log.lines,
                bytes=sources.log.bytes,
                bytes_last_hour=sources.log.bytes_last_hour,
            ),
            settings=sources.settings.figures(),
        )

    def _software(self, now_s: float) -> SoftwareHealth:
        sources, crashes = self._sources, self._sources.crashes
        process = sources.read_process()
        is_watched = sources.settings.memory_leak_detection
        memory = self._memory.figures()
        known = tuple(self._describe_crash(record) for record in crashes.records[-_CRASHES_TOLD:])
        return SoftwareHealth(
            uptime_seconds=round(now_s - self._started_s, 1),
            restart_count=crashes.restart_count,
            restarts_last_hour=crashes.restarts_last_hour(),
            last_crash=known[-1] if known else None,
            crash_count_24h=crashes.count_last_day(),
            crashes=known,
            tasks=self._tasks(process),
            memory=MemoryFigures(
                rss_bytes=process.rss_bytes,
                heap_bytes=process.heap_bytes,
                peak_bytes=process.peak_bytes,
                baseline_bytes=memory.baseline,
                leak_suspected=is_watched and memory.leak_suspected,
            ),
            stack=StackFigures(
                main_bytes=process.main_stack_bytes,
                threads_peak_bytes=sources.keyring.health.stack.peak_bytes,
                thread_limit_bytes=sources.keyring.health.stack.limit_bytes,
            ),
            recoveries=self._recoveries(),
            file_descriptors=DescriptorFigures(
                open=process.descriptors,
                max=process.descriptors_max,
                leaked=_leaked(self._descriptors.figures()) if is_watched else 0,
            ),
            threads=process.threads,
            cpu_seconds=process.cpu_seconds,
            queues=self._queues(),
            kernel_queues=tuple(self._kernel_queues()),
            errors=sources.log.errors.figures(),
        )

    def _describe_crash(self, record: CrashRecord) -> Crash:
        clock = self._sources.clock
        at = clock.format(record.unix_s)
        if at is None and record.boot_id == clock.boot_id:
            at = clock.stamp(record.boottime_s)
        return Crash(
            reason=record.reason,
            at=at,
            boot_id=record.boot_id,
            boottime_seconds=record.boottime_s,
            version=record.version,
            trace=record.trace,
        )

    def _tasks(self, process: ProcessFigures) -> tuple[TaskFigures, ...]:
        """The first part has what the others leave of the processor time."""
        usb, *others = self._sources.parts
        cpu_s = {part.name: part.cpu_s for part in others}
        cpu_s[usb.name] = max(0.0, process.cpu_seconds - sum(cpu_s.values()))
        return tuple(_describe_part(part, cpu_s[part.name]) for part in self._sources.parts)

    def _recoveries(self) -> Recoveries:
        parts = self._sources.parts
        return Recoveries(
            process_restarts=self._sources.crashes.restart_count,
            task_restarts=sum(part.restarts for part in parts),
            stuck_tasks_restarted=sum(part.stuck_restarts for part in parts),
            usb_bounces=self._sources.meters.usb.bounces,
            marks_replaced=self._sources.log.errors.total(_MARKS_REPLACED),
        )

    def _queues(self) -> tuple[QueueFigures, ...]:
        figures = []
        for interface, counters in sorted(self._sources.meters.peers.items()):
            counted = counters()
            figures.append(
                QueueFigures(
                    interface=interface,
                    waiting=counted.queued,
                    waiting_peak=counted.queued_peak,
                    in_progress=counted.in_progress,
                    dropped=counted.dropped_requests,
                )
            )
        return tuple(figures)

    def _kernel_queues(self) -> Iterator[KernelQueueFigures]:
        for interface, occupancies in sorted(self._sources.meters.endpoints.items()):
            for direction, occupancy in occupancies().items():
                yield _describe_queue(f"usb {interface} {direction}", occupancy)
        syncs = self._sources.keyring.health.syncs
        if syncs is not None:
            yield _describe_queue("marks", syncs())

    def _signing(self) -> SigningFigures:
        meters, keychain = self._sources.meters, self._sources.keyring.health
        total = meters.total.figures()
        return SigningFigures(
            signatures=meters.total.total,
            signatures_last_hour=total.count,
            latency=LatencySplit(
                total=total,
                usb=meters.peer_times.sending.figures(),
                queue=meters.peer_times.queue.figures(),
                marks=keychain.marks.figures(),
                signature=keychain.signature.figures(),
            ),
            rejections=meters.rejections.figures(),
        )

    def _usb(self) -> UsbFigures:
        meter = self._sources.meters.usb
        return UsbFigures(
            state=self._sources.parts[0].status,
            enables=meter.enables,
            disables=meter.disables,
            suspends=meter.suspends,
            recoveries=meter.bounces,
            sessions_last_hour=meter.sessions_last_hour,
        )

    def _keys(self, damaged_marks: dict[str, str]) -> KeysFigures:
        keyring = self._sources.keyring
        try:
            keys = keyring.status()
            initialised = keyring.is_initialised
        except KeystoreUnusable as error:
            return KeysFigures(initialised=True, problem=str(error)[:200], keys=())
        return KeysFigures(
            initialised=initialised,
            problem="",
            keys=tuple(
                KeyFigures(
                    id=key.id,
                    pkh=key.pkh,
                    lock_state=key.lock_state,
                    marks_problem=damaged_marks.get(key.pkh, ""),
                )
                for key in keys
            ),
        )


def _describe_part(part: Part, cpu_s: float) -> TaskFigures:
    ago_s = trio.current_time() - part.last_heartbeat_s
    return TaskFigures(
        name=part.name,
        status=part.status,
        last_heartbeat_seconds_ago=None if isinf(ago_s) else round(ago_s, 1),
        is_late=part.is_late(),
        restarts=part.restarts,
        cpu_seconds=round(cpu_s, 2),
    )


def _describe_queue(name: str, occupancy: Occupancy) -> KernelQueueFigures:
    return KernelQueueFigures(
        name=name,
        in_flight=occupancy.in_flight,
        in_flight_peak=occupancy.in_flight_peak,
        places=occupancy.places,
    )


def _leaked(growth: GrowthFigures) -> int:
    if not growth.leak_suspected or growth.baseline is None:
        return 0
    return max(1, growth.floor - growth.baseline)
