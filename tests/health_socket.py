"""The board's own health socket, as its tests read it: now, or until it tells what it must."""

import json
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

__all__ = ["read_health", "wait_alerts", "wait_health"]

_PATIENCE_S: Final = 20.0
_PAUSE_S: Final = 0.05


def read_health(path: Path) -> Any:
    """Returns the report."""
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(_PATIENCE_S)
        client.connect(str(path))
        data = b""
        while part := client.recv(65536):
            data += part
    return json.loads(data)


def wait_health(path: Path, is_it: Callable[[Any], bool], patience_s: float = _PATIENCE_S) -> Any:
    """Returns the first report that is as it should be."""
    deadline_s = time.monotonic() + patience_s
    while True:
        report = read_health(path)
        if is_it(report):
            return report
        assert time.monotonic() < deadline_s, report["alerts"]
        time.sleep(_PAUSE_S)


def wait_alerts(path: Path, *codes: str, patience_s: float = _PATIENCE_S) -> Any:
    """Returns the first report that has these alerts and no other ones."""
    return wait_health(
        path,
        lambda report: {alert["code"] for alert in report["alerts"]} == set(codes),
        patience_s,
    )
