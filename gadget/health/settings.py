"""`[software_health]` of the settings file on the data partition, over defaults.

A value that can't be used costs that value: it is told in words, the default holds, and the report
has an alert. A signer starts whatever stands in the file. Read once at start.
"""

import logging
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Final

from gadget.health.figures import SettingsFigures

__all__ = ["HealthSettings", "load_health_settings", "parse_health_settings"]

logger = logging.getLogger(__name__)

_TABLE: Final = "software_health"
# Another name for the same thing, which the settings of other signers have.
_ALIASES: Final = {"thread_monitoring": "task_monitoring"}
_RANGES: Final = {
    "health_check_interval": (1, 3600),
    "crash_history_days": (1, 365),
    "max_restart_attempts": (0, 100),
}
_FILE_LIMIT_BYTES: Final = 64 * 1024
_PATH_CHARACTERS: Final = 100  # what a socket's address has room for


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthSettings:
    """`health_check_interval` in seconds. `health_endpoint`: the path of the board's own health
    socket, "" for none. `problems`: what of the file could not be used, in words.
    """

    enabled: bool = True
    crash_reporting: bool = True
    task_monitoring: bool = True
    memory_leak_detection: bool = True
    health_check_interval: int = 60
    crash_history_days: int = 7
    max_restart_attempts: int = 3
    health_endpoint: str = "/run/tezsign/health.sock"
    problems: tuple[str, ...] = ()

    def figures(self) -> SettingsFigures:
        return SettingsFigures(
            enabled=self.enabled,
            crash_reporting=self.crash_reporting,
            task_monitoring=self.task_monitoring,
            memory_leak_detection=self.memory_leak_detection,
            health_check_interval_seconds=self.health_check_interval,
            crash_history_days=self.crash_history_days,
            max_restart_attempts=self.max_restart_attempts,
            health_endpoint=self.health_endpoint,
            problems=self.problems,
        )


_NAMES: Final = frozenset(field.name for field in fields(HealthSettings)) - {"problems"}


def load_health_settings(file: Path, defaults: HealthSettings) -> HealthSettings:
    """Reads the file; one that is not there means the defaults. Logs each problem once."""
    try:
        with file.open("rb") as opened:
            data = opened.read(_FILE_LIMIT_BYTES + 1)
    except FileNotFoundError:
        return defaults
    except OSError as error:
        settings = _only_problem(defaults, f"can't be read: {error.strerror}")
    else:
        settings = parse_health_settings(data, defaults)
    for problem in settings.problems:
        logger.warning("settings problem", extra={"file": str(file), "problem": problem})
    return settings


def parse_health_settings(data: bytes, defaults: HealthSettings) -> HealthSettings:
    """Never raises; what is not good is in `problems`."""
    if len(data) > _FILE_LIMIT_BYTES:
        return _only_problem(defaults, f"tezsign.toml is over {_FILE_LIMIT_BYTES} bytes")
    try:
        document = tomllib.loads(data.decode())
    except (ValueError, RecursionError) as error:  # of TOML, or of UTF-8
        return _only_problem(defaults, f"tezsign.toml is no TOML: {str(error)[:100]}")
    table = document.get(_TABLE, {})
    if not isinstance(table, dict):
        return _only_problem(defaults, f"{_TABLE} is no table")
    return _take(table, defaults)


def _take(table: Mapping[str, object], defaults: HealthSettings) -> HealthSettings:
    values: dict[str, object] = {}
    problems: list[str] = []
    for given, value in table.items():
        name = _ALIASES.get(given, given)
        problem = _problem_of(name, value)
        if problem:
            problems.append(f"{given[:40]}: {problem}"[:200])
        elif name in values and values[name] != value:
            problems.append(f"{given}: is given twice, under two names; the first one holds")
        else:
            values[name] = value
    return replace(defaults, **values, problems=tuple(problems[:10]))  # type: ignore[arg-type]  # each value was checked


def _problem_of(name: str, value: object) -> str:
    if name not in _NAMES:
        return "is no setting; it is left out"
    if name in _RANGES:
        least, most = _RANGES[name]
        if type(value) is int and least <= value <= most:
            return ""
        return f"expected a whole number, {least} to {most}; the default holds"
    if name == "health_endpoint":
        if isinstance(value, str) and (value == "" or _is_good_path(value)):
            return ""
        return "expected an absolute path, or nothing; the default holds"
    return "" if type(value) is bool else "expected true or false; the default holds"


def _is_good_path(text: str) -> bool:
    return text.startswith("/") and "\0" not in text and len(text.encode()) <= _PATH_CHARACTERS


def _only_problem(defaults: HealthSettings, problem: str) -> HealthSettings:
    return replace(defaults, problems=(problem,))
