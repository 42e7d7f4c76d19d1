"""What the daemon has of health before it has keys: settings, clock, crash log, meters.

Made once by `gadget.__main__`, so that a crash at the very start leaves a trace.
"""

from dataclasses import dataclass

from broker.version import VERSION
from gadget.health.clock import BoardClock
from gadget.health.crash_log import CrashLog
from gadget.health.log_tally import LogTally
from gadget.health.meters import Meters
from gadget.health.settings import HealthSettings, load_health_settings
from gadget.logs import LogBook
from gadget.settings import Settings

__all__ = ["HealthKit", "begin_health"]


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthKit:
    """One process's."""

    settings: HealthSettings
    clock: BoardClock
    crashes: CrashLog
    meters: Meters
    log: LogTally


def begin_health(settings: Settings, log_book: LogBook) -> HealthKit:
    """Reads the settings and how the last start ended, and looks out for fatal signals."""
    defaults = HealthSettings(health_endpoint=str(settings.health_socket))
    health = load_health_settings(settings.settings_file, defaults)
    clock = BoardClock()
    crashes = CrashLog(
        settings.data / "health",
        settings.run,
        clock,
        version=VERSION,
        keep_days=health.crash_history_days,
        enabled=health.enabled and health.crash_reporting,
    )
    crashes.begin()
    crashes.watch_signals()
    log_book.correct = clock.correct
    meters = Meters()
    meters.turn_also(log_book.tally.turn)
    return HealthKit(
        settings=health, clock=clock, crashes=crashes, meters=meters, log=log_book.tally
    )
