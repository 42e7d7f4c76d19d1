"""Alert rules and dashboard against promtool, and a real Prometheus that scrapes a run."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.process.child import Child
from tests.prometheus import fetch, find_prometheus, free_port, scrape

ASSETS = Path(__file__).parents[2] / "builder/assets"
ALERTS = ASSETS / "prometheus-alerts.yml"
DASHBOARD = json.loads((ASSETS / "grafana-dashboard.json").read_text())
EXPRESSIONS = [target["expr"] for panel in DASHBOARD["panels"] for target in panel["targets"]]
FIRING = 'count(ALERTS{alertname="NAME",alertstate="firing"}) or vector(0)'
METRIC = re.compile(r"\btezsign_\w+")

# Alert, what is seen each minute, minutes until it must fire; a minute before it must not.
FAULTS = (
    ("TezsignRunDown", {'up{job="tezsign"}': "0x10"}, 3),
    ("TezsignUnreachable", {"tezsign_up": "0x10"}, 3),
    ("TezsignConsecutiveFailures", {"tezsign_consecutive_failures": "0 5 6"}, 2),
    ("TezsignMissedSignatures", {"tezsign_signatures_missed_total": "0 0 0 1 1"}, 3),
    ("TezsignMarksBehindWitness", {'tezsign_marks_behind_witness{key="a"}': "0 1"}, 1),
    ("TezsignKeyLocked", {'tezsign_device_key_unlocked{key="a"}': "0x10"}, 2),
    ("TezsignDeviceCritical", {'tezsign_device_status{status="critical"}': "0 1 1"}, 2),
    ("TezsignDeviceDegraded", {'tezsign_device_status{status="degraded"}': "1x30"}, 15),
    ("TezsignRestarts", {"tezsign_device_starts_total": "0 5 5 7"}, 3),
    ("TezsignRestarts", {"tezsign_uptime_seconds": "9 1 9 1 9 1 9 1 9 1 9 1"}, 11),
    ("TezsignSessionChurn", {"tezsign_sessions_opened_total": "1 20 20 25"}, 3),
    ("TezsignLogGrowth", {"tezsign_device_log_bytes_total": "0 40000000 60000000"}, 2),
    ("TezsignNoFigures", {'tezsign_up{instance="a"}': "1x20"}, 10),
    (
        "TezsignSlow",
        {
            'tezsign_sign_seconds_bucket{le="1"}': "0x30",
            'tezsign_sign_seconds_bucket{le="2.5"}': "0+10x30",
            'tezsign_sign_seconds_bucket{le="+Inf"}': "0+10x30",
        },
        6,
    ),
)  # fmt: skip


@pytest.fixture(scope="session")
def tools() -> Path:
    return find_prometheus()


def promtool(tools: Path, *arguments: str) -> None:
    done = subprocess.run(
        [tools / "promtool", *arguments], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_alert_fires_when_it_must_and_not_a_minute_before(
    tools: Path, tmp_path: Path
) -> None:
    promtool(tools, "check", "rules", str(ALERTS))
    tests = [
        {
            "interval": "1m",
            "input_series": [{"series": name, "values": values} for name, values in seen.items()],
            "promql_expr_test": [
                {
                    "expr": FIRING.replace("NAME", alert),
                    "eval_time": f"{minute}m",
                    "exp_samples": [{"value": fires}],
                }
                for minute, fires in ((minutes - 1, 0), (minutes, 1))
            ],
        }
        for alert, seen, minutes in FAULTS
    ]
    file = tmp_path / "tests.yml"  # JSON is YAML
    file.write_text(
        json.dumps({"rule_files": [str(ALERTS)], "evaluation_interval": "1m", "tests": tests})
    )
    promtool(tools, "test", "rules", str(file))
    listed = set(re.findall(r"- alert: (\w+)", ALERTS.read_text()))
    assert {alert for alert, *_ in FAULTS} == listed


def test_the_dashboard_asks_what_prometheus_understands(tools: Path, tmp_path: Path) -> None:
    rules = [{"record": f"a:{n}", "expr": expr} for n, expr in enumerate(EXPRESSIONS)]
    file = tmp_path / "rules.yml"
    file.write_text(json.dumps({"groups": [{"name": "dashboard", "rules": rules}]}))
    promtool(tools, "check", "rules", str(file))
    ids = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(set(ids)) == len(ids)
    assert {v["name"] for v in DASHBOARD["templating"]["list"]} == {"datasource"}


@pytest.fixture
def metrics_url(tmp_path: Path) -> Iterator[str]:
    """A `tezsign run` with a fake board, in a process of its own."""
    port = free_port()
    words = [sys.executable, "-m", "tests.host.fake_cable", "run", "--listen", "127.0.0.1:0"]
    environment = os.environ | {"XDG_STATE_HOME": str(tmp_path / "state")}
    with (
        (tmp_path / "run.log").open("wb") as log,
        Child([*words, "--metrics", f"127.0.0.1:{port}"], environment=environment, stderr=log),
    ):
        yield f"http://127.0.0.1:{port}"


def test_a_real_prometheus_scrapes_a_run(tools: Path, tmp_path: Path, metrics_url: str) -> None:
    text = b""
    while b"tezsign_device_health_score" not in text:  # the board has told
        text = fetch(f"{metrics_url}/metrics")
    done = subprocess.run(
        [tools / "promtool", "check", "metrics"], input=text, capture_output=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    known = set(METRIC.findall(text.decode()))
    asked = set(METRIC.findall(ALERTS.read_text() + " ".join(EXPRESSIONS)))
    # Counters with a label that has not come up, and what this fake board has none of.
    assert asked - known <= {
        "tezsign_refusals_total", "tezsign_device_alert", "tezsign_device_rejections_total",
        "tezsign_device_log_problems_total", "tezsign_device_storage_wear_percent",
    }  # fmt: skip
    target = metrics_url.removeprefix("http://")
    assert scrape(target, "tezsign_device_health_score", tmp_path, ALERTS) == 100
