"""Rules about the SD card and the file system that the keys are on. Pure. Used by `rules`."""

from typing import Final

from gadget.health.report import Sample
from gadget.health.rule import CRITICAL, WARNING, Rule, hourly

__all__ = ["STORAGE_RULES"]

_LOW_SHARE: Final = 0.1
_FULL_BYTES: Final = 1024 * 1024
_WORN_PERCENT: Final = 80
_NOT_RECORDED: Final = "marks could not be recorded"


def _full(sample: Sample) -> str:
    free_bytes = sample.storage.free_bytes
    is_known = sample.storage.total_bytes > 0
    return f"{free_bytes} bytes are free" if is_known and free_bytes < _FULL_BYTES else ""


def _low(sample: Sample) -> str:
    storage = sample.storage
    if storage.free_bytes >= _LOW_SHARE * storage.total_bytes:
        return ""
    return f"{storage.free_bytes // 1024} of {storage.total_bytes // 1024} KiB are free"


def _read_only(sample: Sample) -> str:
    return (
        "the data partition is read-only: nothing can be signed" if sample.storage.read_only else ""
    )


def _errors(sample: Sample) -> str:
    count = sample.storage.write_errors
    return f"the file system has counted {count} errors" if count else ""


def _not_recorded(sample: Sample) -> str:
    count = hourly(sample.software_health.errors, _NOT_RECORDED)
    return f"{count} watermarks could not be written in the last hour" if count else ""


def _worn(sample: Sample) -> str:
    percent = sample.storage.erase_wear_percent
    return (
        f"{percent} % of the card's life is used up" if percent and percent >= _WORN_PERCENT else ""
    )


def _problem(sample: Sample) -> str:
    return sample.storage.problem


_CARD: Final = "Move the keys to another card: docs/failover.md."

STORAGE_RULES: Final[tuple[Rule, ...]] = (
    Rule("disk_unreadable", "disk_ok", CRITICAL, _problem, _CARD),
    Rule("disk_read_only", "disk_ok", CRITICAL, _read_only, _CARD),
    Rule("disk_errors", "disk_ok", CRITICAL, _errors, _CARD),
    Rule("marks_not_recorded", "disk_ok", CRITICAL, _not_recorded, _CARD),
    Rule(
        "disk_full",
        "disk_ok",
        CRITICAL,
        _full,
        "Free space on the data partition, or use a larger card.",
    ),
    Rule(
        "disk_low",
        "disk_ok",
        WARNING,
        _low,
        "Free space on the data partition, or use a larger card.",
    ),
    Rule("card_worn", "disk_ok", WARNING, _worn, _CARD),
)
