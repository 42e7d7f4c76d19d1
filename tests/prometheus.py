"""Prometheus and its promtool from Debian's package, unpacked into the lab's cache. Nothing is
installed."""

import json
import socket
import time
import urllib.request
from pathlib import Path
from typing import Any, Final

from tests.lab.cache import open_cache
from tests.lab.packages import fetch_package, read_package
from tests.process.child import Child

__all__ = ["fetch", "find_prometheus", "free_port", "scrape"]

_PACKAGE: Final = "prometheus"
_PROGRAMS: Final = ("usr/bin/prometheus", "usr/bin/promtool")


def find_prometheus() -> Path:
    """A folder with both programs.

    Raises: LabError where apt has no such package.
    """
    return open_cache().find_folder("prometheus", _fill)


def _fill(folder: Path) -> None:
    with fetch_package(open_cache(), _PACKAGE) as package:
        for name, data in read_package(package, *_PROGRAMS):
            program = folder / Path(name).name
            program.write_bytes(data)
            program.chmod(0o755)


def scrape(target: str, metric: str, folder: Path, rules: Path, patience_s: float = 60) -> float:
    """Has a real Prometheus scrape `target` (host:port), and returns what it has of a metric.

    Asserts that it can evaluate the rules.
    """
    tools = find_prometheus()
    port = free_port()
    jobs = [{"job_name": "tezsign", "static_configs": [{"targets": [target]}]}]
    config = {
        "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
        "rule_files": [str(rules)],
        "scrape_configs": jobs,
    }
    (folder / "prometheus.yml").write_text(json.dumps(config))  # JSON is YAML
    words = [
        str(tools / "prometheus"),
        f"--config.file={folder}/prometheus.yml",
        f"--storage.tsdb.path={folder}/data",
        f"--web.listen-address=127.0.0.1:{port}",
    ]
    url = f"http://127.0.0.1:{port}/api/v1"
    until_s = time.monotonic() + patience_s
    with (folder / "prometheus.log").open("wb") as log, Child(words, stderr=log):
        found: list[Any] = []
        while not found:
            assert time.monotonic() < until_s, (folder / "prometheus.log").read_text()
            answer = fetch(f"{url}/query?query={metric}", until_s - time.monotonic())
            found = json.loads(answer)["data"]["result"]
            time.sleep(0.1)
        (group,) = json.loads(fetch(f"{url}/rules", patience_s))["data"]["groups"]
        assert {rule["health"] for rule in group["rules"]} <= {"ok", "unknown"}
        return float(found[0]["value"][1])


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


def fetch(url: str, patience_s: float = 60) -> bytes:
    """Tries until somebody answers."""
    until_s = time.monotonic() + patience_s
    while True:
        try:
            with urllib.request.urlopen(url, timeout=5) as answer:  # noqa: S310 - our own
                data: bytes = answer.read()
                return data
        except OSError:
            assert time.monotonic() < until_s
            time.sleep(0.05)
