"""`make run` as a newcomer meets it: the printed line signs, again and the same; Ctrl-C ends
all."""

import json
import shlex
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from tests.lab.plan import PROJECT
from tests.prometheus import find_prometheus, open_prometheus

pytestmark = [pytest.mark.lab, pytest.mark.timeout(600)]

ALERTS = PROJECT / "builder/assets/prometheus-alerts.yml"
_END_S = 30.0


def test_the_printed_line_signs_and_ctrl_c_ends_everything(tmp_path: Path) -> None:
    find_prometheus()  # the download, if any, before the board is up
    command = [sys.executable, "-m", "tests.demo"]
    with subprocess.Popen(command, cwd=PROJECT, stdout=subprocess.PIPE, text=True) as demo:
        try:
            assert demo.stdout is not None
            lines = []
            for line in demo.stdout:
                lines.append(line)
                if "Ctrl-C" in line:
                    break
            said = "".join(lines)
            assert demo.poll() is None, said
            (curl,) = [line for line in lines if line.strip().startswith("curl")]
            first = sign_as_told(curl)
            assert first == sign_as_told(curl)
            assert first.startswith("BLsig")
            other = curl.replace("00010203", "99999999")
            assert other != curl
            with pytest.raises(urllib.error.HTTPError) as refused:
                sign_as_told(other)
            assert refused.value.code == 409
            refused.value.close()
            assert said.count("tz4") >= 2
            (page,) = [line for line in lines if line.strip().endswith("/metrics")]
            see_figures(page.split()[-1], tmp_path)
        finally:
            demo.send_signal(signal.SIGINT)
            status = demo.wait(timeout=_END_S)
    assert status in {0, 130}


def see_figures(url: str, folder: Path) -> None:
    """A real Prometheus scrapes the run, and finds what it and its board have just done."""
    target = url.removeprefix("http://").removesuffix("/metrics")
    with open_prometheus(target, folder, ALERTS) as prometheus:
        assert prometheus.value("tezsign_up") == 1
        assert prometheus.value("tezsign_signatures_total") == 2
        assert prometheus.value('tezsign_refusals_total{reason="watermark"}') == 1
        assert prometheus.value("count(tezsign_device_key_unlocked)") == 2
        assert prometheus.value("tezsign_device_log_bytes_total") > 0
        assert len(prometheus.rules()) == ALERTS.read_text().count("- alert:")


def sign_as_told(curl: str) -> str:
    """Does what the printed line does; curl itself may not be on this machine."""
    words = shlex.split(curl)
    data, url = words[words.index("-d") + 1], words[-1]
    with urllib.request.urlopen(url, data.encode(), timeout=60) as answer:  # noqa: S310 - http
        signature: str = json.load(answer)["signature"]
    return signature
