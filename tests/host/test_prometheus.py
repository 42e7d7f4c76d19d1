"""Alert rules and dashboard against promtool, and a real Prometheus that scrapes a run."""

import json
import os
import re
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from itertools import product
from pathlib import Path

import pytest

from tests.process.child import Child
from tests.prometheus import fetch, find_prometheus, free_port, open_prometheus

ASSETS = Path(__file__).parents[2] / "builder/assets"
ALERTS = ASSETS / "prometheus-alerts.yml"
DASHBOARD = json.loads((ASSETS / "grafana-dashboard.json").read_text())
EXPRESSIONS = [target["expr"] for panel in DASHBOARD["panels"] for target in panel["targets"]]
AILING_SCORE = 60  # four warnings
FIRING = 'count(ALERTS{alertname="NAME",alertstate="firing"}) or vector(0)'
# A metric with what is asked of its labels, as far as a scrape can show it.
SELECTOR = re.compile(r"\b(?:tezsign_\w+|up)(?:\{[^}]*\})?(?!\w)")

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


def test_the_dashboard_is_laid_out_as_grafana_wants_it() -> None:
    """Source: Grafana's "Dashboard JSON model": ids, 24 columns, a data source that is chosen."""
    panels = DASHBOARD["panels"]
    ids = [panel["id"] for panel in panels]
    assert len(set(ids)) == len(ids)
    assert {variable["name"] for variable in DASHBOARD["templating"]["list"]} == {"datasource"}
    cells: set[tuple[int, int]] = set()
    for panel in panels:
        assert panel["type"] in {"stat", "table", "timeseries", "gauge"}
        assert panel["title"]
        assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
        names = [target["refId"] for target in panel["targets"]]
        assert len(set(names)) == len(names) > 0
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24
        covered = set(product(
            range(place["x"], place["x"] + place["w"]), range(place["y"], place["y"] + place["h"])
        ))  # fmt: skip
        assert not covered & cells, panel["title"]
        cells |= covered


@pytest.fixture
def metrics(tmp_path: Path) -> Iterator[str]:
    """Host and port of a `tezsign run` in a process of its own, with a fake board that ails."""
    port, signer_port = free_port(), free_port()
    words = [sys.executable, "-m", "tests.host.fake_cable", "run"]
    words += ["--listen", f"127.0.0.1:{signer_port}", "--metrics", f"127.0.0.1:{port}"]
    environment = os.environ | {"XDG_STATE_HOME": str(tmp_path / "state"), "TEZSIGN_FAKE": "ailing"}
    with (
        (tmp_path / "run.log").open("wb") as log,
        Child(words, environment=environment, stderr=log),
    ):
        fetch(f"http://127.0.0.1:{port}/healthz")
        refuse(signer_port)
        yield f"127.0.0.1:{port}"


def refuse(port: int) -> None:
    """Asks for a signature of a key that nobody has."""
    url = f"http://127.0.0.1:{port}/keys/{'tz4' + 'A' * 33}"
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(url, data=b'"00"', timeout=20)
    assert refused.value.code == 404
    refused.value.close()


def test_what_rules_and_dashboard_ask_for_is_told_by_a_run(
    tools: Path, tmp_path: Path, metrics: str
) -> None:
    text = b""
    while b"tezsign_device_health_score" not in text:  # the board has told
        text = fetch(f"http://{metrics}/metrics")
    done = subprocess.run(
        [tools / "promtool", "check", "metrics"], input=text, capture_output=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    with open_prometheus(metrics, tmp_path, ALERTS) as prometheus:
        rules = prometheus.rules()
        assert len(rules) == ALERTS.read_text().count("- alert:")
        for selector in sorted(set(SELECTOR.findall(" ".join([*rules, *EXPRESSIONS])))):
            assert prometheus.value(f"count({selector})") >= 1
        for expression in EXPRESSIONS:
            prometheus.value(expression)  # no panel stays empty
        assert prometheus.value("tezsign_device_health_score") == AILING_SCORE
