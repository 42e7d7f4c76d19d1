"""What is looked at: one frozen value for each section of the health report. Pure.

The names here are the names of the report's fields (docs/health.md, held by a test), so units are
in them. None stands for what this board does not tell.
"""

from dataclasses import dataclass

from broker.latency import LatencyFigures
from gadget.health.rolling import NamedCount

__all__ = [
    "BoardFigures",
    "Crash",
    "DescriptorFigures",
    "KernelQueueFigures",
    "KeyFigures",
    "KeysFigures",
    "LatencySplit",
    "LogFigures",
    "MemoryFigures",
    "QueueFigures",
    "Recoveries",
    "SettingsFigures",
    "SigningFigures",
    "SoftwareHealth",
    "StackFigures",
    "StorageFigures",
    "TaskFigures",
    "UsbFigures",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Crash:
    """An end of the signer that nobody asked for, or a bug that one of its tasks ended with.

    `trace` has files, lines and functions only. `at`: UTC, None where no host had told the time.
    """

    reason: str
    at: str | None
    boot_id: str
    boottime_seconds: float
    version: str
    trace: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskFigures:
    """`last_heartbeat_seconds_ago` is None before the first one."""

    name: str
    status: str
    last_heartbeat_seconds_ago: float | None
    is_late: bool
    restarts: int
    cpu_seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryFigures:
    rss_bytes: int
    heap_bytes: int
    peak_bytes: int
    baseline_bytes: int | None
    leak_suspected: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class StackFigures:
    """`main_bytes`: of the thread that does all but wait for files and derive keys;
    `threads_peak_bytes`: the most that a key derivation has used of its thread's limit.
    """

    main_bytes: int
    threads_peak_bytes: int
    thread_limit_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Recoveries:
    """Since the start of the process, but `process_restarts`: since the board was switched on."""

    process_restarts: int
    task_restarts: int
    stuck_tasks_restarted: int
    usb_bounces: int
    marks_replaced: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DescriptorFigures:
    """`leaked`: how many more there are than after the warm-up, where that is suspicious; or 0."""

    open: int
    max: int
    leaked: int


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueFigures:
    """Of one USB interface, since its session began."""

    interface: int
    waiting: int
    waiting_peak: int
    in_progress: int
    dropped: int


@dataclass(frozen=True, slots=True, kw_only=True)
class KernelQueueFigures:
    """Transfers of an endpoint, or syncs of marks, that the kernel has; the peak since it was
    opened.
    """

    name: str
    in_flight: int
    in_flight_peak: int
    places: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SoftwareHealth:
    """`crashes`: the newest eight that are kept, the eldest first; the last one is `last_crash`."""

    uptime_seconds: float
    restart_count: int
    restarts_last_hour: int
    last_crash: Crash | None
    crash_count_24h: int
    crashes: tuple[Crash, ...]
    tasks: tuple[TaskFigures, ...]
    memory: MemoryFigures
    stack: StackFigures
    recoveries: Recoveries
    file_descriptors: DescriptorFigures
    threads: int
    cpu_seconds: float
    queues: tuple[QueueFigures, ...]
    kernel_queues: tuple[KernelQueueFigures, ...]
    errors: tuple[NamedCount, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class LatencySplit:
    """`total` is from the decoded request to the released signature; `marks` is what the watermark
    write costs beside the signature that is computed meanwhile. `queue` and `usb` (sending the
    answer until the host has taken it) are of all requests.
    """

    total: LatencyFigures
    usb: LatencyFigures
    queue: LatencyFigures
    marks: LatencyFigures
    signature: LatencyFigures


@dataclass(frozen=True, slots=True, kw_only=True)
class SigningFigures:
    signatures: int
    signatures_last_hour: int
    latency: LatencySplit
    rejections: tuple[NamedCount, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class UsbFigures:
    """Since the start of the process. `recoveries`: bounces of a wedged controller."""

    state: str
    enables: int
    disables: int
    suspends: int
    recoveries: int
    sessions_last_hour: int


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyFigures:
    """`marks_problem` is empty where its files look as they must."""

    id: str
    pkh: str
    lock_state: str
    marks_problem: str


@dataclass(frozen=True, slots=True, kw_only=True)
class KeysFigures:
    """`problem` is empty unless the keystore itself is unusable."""

    initialised: bool
    problem: str
    keys: tuple[KeyFigures, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class StorageFigures:
    """Of the file system that the keys are on. `erase_wear_percent` and `worn_out`: the card's."""

    total_bytes: int
    free_bytes: int
    read_only: bool
    write_errors: int | None
    erase_wear_percent: int | None
    problem: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BoardFigures:
    model: str
    kernel: str
    version: str
    protocol: int
    image_version: str
    image_date: str
    image_hash: str
    temperature_celsius: float | None
    under_voltage: bool | None


@dataclass(frozen=True, slots=True, kw_only=True)
class LogFigures:
    """What the signer has logged; `bytes` is about what the journal has grown by."""

    lines: int
    bytes: int
    bytes_last_hour: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SettingsFigures:
    """What is in force, and what of the file could not be used."""

    enabled: bool
    crash_reporting: bool
    task_monitoring: bool
    memory_leak_detection: bool
    health_check_interval_seconds: int
    crash_history_days: int
    max_restart_attempts: int
    health_endpoint: str
    problems: tuple[str, ...]
