"""Prometheus and its promtool from Debian's package, unpacked into the lab's cache. Nothing is
installed."""

import json
import socket
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from tests.lab.cache import open_cache
from tests.lab.packages import fetch_package, read_package
from tests.process.child import Child

__all__ = ["Prometheus", "fetch", "find_prometheus", "free_port", "open_prometheus"]

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


class Prometheus:
    """One that runs, and scrapes each second. Made by `open_prometheus`."""

    def __init__(self, url: str, log: Path, patience_s: float) -> None:
        self._url = url
        self._log = log
        self._until_s = time.monotonic() + patience_s

    def value(self, query: str) -> float:
        """Returns the first value that it finds, as soon as there is one."""
        while True:
            found = self._ask(f"query?query={urllib.parse.quote(query)}")["result"]
            if found:
                return float(found[0]["value"][1])
            assert time.monotonic() < self._until_s, (query, self._log.read_text())
            time.sleep(0.1)

    def rules(self) -> Sequence[str]:
        """Returns the expressions of its rules, which it has evaluated without an error."""
        while True:
            (group,) = self._ask("rules")["groups"]
            health = {rule["health"] for rule in group["rules"]}
            if health == {"ok"}:
                return [rule["query"] for rule in group["rules"]]
            assert health <= {"ok", "unknown"}, group
            assert time.monotonic() < self._until_s, group
            time.sleep(0.1)

    def _ask(self, path: str) -> Any:
        return json.loads(fetch(f"{self._url}/{path}", self._until_s - time.monotonic()))["data"]


@contextmanager
def open_prometheus(
    target: str, folder: Path, rules: Path, patience_s: float = 60
) -> Iterator[Prometheus]:
    """Has a real Prometheus scrape `target` (host:port), as the job `tezsign`."""
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
    log_file = folder / "prometheus.log"
    with log_file.open("wb") as log, Child(words, stderr=log):
        yield Prometheus(f"http://127.0.0.1:{port}/api/v1", log_file, patience_s)


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
