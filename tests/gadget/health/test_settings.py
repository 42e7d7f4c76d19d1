"""The settings file: what is good holds, what is not costs that value and is told."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gadget.health.settings import HealthSettings, load_health_settings, parse_health_settings

DEFAULTS = HealthSettings(health_endpoint="/run/x/health.sock")


def parse(text: str) -> HealthSettings:
    return parse_health_settings(text.encode(), DEFAULTS)


def test_everything_can_be_set() -> None:
    assert parse(
        """
        [software_health]
        enabled = false
        crash_reporting = false
        task_monitoring = false
        memory_leak_detection = false
        health_check_interval = 10
        crash_history_days = 30
        max_restart_attempts = 0
        health_endpoint = ""
        """
    ) == HealthSettings(
        enabled=False,
        crash_reporting=False,
        task_monitoring=False,
        memory_leak_detection=False,
        health_check_interval=10,
        crash_history_days=30,
        max_restart_attempts=0,
        health_endpoint="",
    )


def test_thread_monitoring_means_the_same() -> None:
    assert parse("[software_health]\nthread_monitoring = false").task_monitoring is False


@pytest.mark.parametrize("text", ["", "[other]\nx = 1", "[software_health]"])
def test_nothing_said_means_the_defaults(text: str) -> None:
    assert parse(text) == DEFAULTS


@pytest.mark.parametrize(
    "line",
    [
        "health_check_interval = 0",
        "health_check_interval = 3601",
        'health_check_interval = "60"',
        "health_check_interval = true",
        "health_check_interval = 60.0",
        "crash_history_days = -1",
        "max_restart_attempts = 101",
        'health_endpoint = "relative"',
        f'health_endpoint = "/{"x" * 200}"',
        "health_endpoint = 5",
        'enabled = "yes"',
        "enabled = 1",
        "unknown = 1",
    ],
)
def test_a_bad_value_costs_itself_and_nothing_else(line: str) -> None:
    settings = parse(f"[software_health]\nmemory_leak_detection = false\n{line}")
    assert len(settings.problems) == 1
    assert settings.problems[0].startswith(line.split(" ", maxsplit=1)[0])
    assert settings.memory_leak_detection is False
    assert settings.enabled
    assert settings.health_check_interval == 60
    assert settings.health_endpoint == DEFAULTS.health_endpoint


@pytest.mark.parametrize("data", [b"\xff", b"[", b"software_health = 3", b"#" * 70_000])
def test_a_file_that_is_none_means_the_defaults_and_a_problem(data: bytes) -> None:
    settings = parse_health_settings(data, DEFAULTS)
    assert len(settings.problems) == 1
    assert settings.health_check_interval == 60


@given(st.binary(max_size=300))
def test_whatever_stands_there_the_signer_starts(data: bytes) -> None:
    parse_health_settings(b"[software_health]\n" + data, DEFAULTS)


def test_no_file_is_no_problem_and_a_folder_is_one(tmp_path: Path) -> None:
    assert load_health_settings(tmp_path / "none.toml", DEFAULTS) == DEFAULTS
    assert len(load_health_settings(tmp_path, DEFAULTS).problems) == 1
