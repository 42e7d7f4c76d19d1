"""The commands of docs/operations.md are run as they stand there, and show what it says they do."""

import os
import re
import shlex
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from host import cli
from tests.host.fake_cable import FakeCable
from tests.host.operations import COMMANDS, TEXT, Command
from tests.process.child import Child
from tests.prometheus import find_prometheus, free_port

ROOT = Path(__file__).parents[2]
PATIENCE_S = 30.0
# What only a whole system runs: tests/systemd/test_operations.py.
SYSTEM = {"systemctl", "journalctl"}


def of(program: str) -> list[Command]:
    found = [command for command in COMMANDS if command.words[0] == program]
    assert found
    return found


@pytest.mark.parametrize("command", of("tezsign"), ids=str)
def test_a_command_shows_what_the_guide_says(
    command: Command, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TEZSIGN_UNLOCK_PASS", "correct horse")
    FakeCable("a1").install(monkeypatch.setattr)
    status = cli.main(command.words[1:])
    assert command.sees in capsys.readouterr().out
    # The http signer and this machine's udev rule are not there in a test.
    assert status == (1 if command.words[1] == "doctor" else 0)


@pytest.fixture(scope="module")
def signer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """`tezsign run` on other ports than the guide's; which ones stand in their place."""
    folder = tmp_path_factory.mktemp("run")
    ports = {"20090": str(free_port()), "20091": str(free_port())}
    words = [sys.executable, "-m", "tests.host.fake_cable", "run"]
    words += ["--listen", f"127.0.0.1:{ports['20090']}"]
    words += ["--metrics", f"127.0.0.1:{ports['20091']}"]
    environment = os.environ | {"XDG_STATE_HOME": str(folder)}
    with (
        (folder / "log").open("wb") as log,
        Child(words, environment=environment, stderr=log),
    ):
        yield ports


@pytest.mark.parametrize("command", of("curl"), ids=str)
def test_a_page_shows_what_the_guide_says(command: Command, signer: dict[str, str]) -> None:
    assert command.words[:2] == ["curl", "-s"]
    url = re.sub(r"\b2009[01]\b", lambda port: signer[port[0]], command.words[2])
    until_s = time.monotonic() + PATIENCE_S
    text = ""
    while command.sees not in text:
        assert time.monotonic() < until_s, text
        try:
            with urllib.request.urlopen(url, timeout=5) as answer:  # noqa: S310 - our own
                text = answer.read().decode()
        except OSError:
            time.sleep(0.05)


@pytest.mark.parametrize("command", of("promtool"), ids=str)
def test_promtool_says_what_the_guide_says(command: Command) -> None:
    done = subprocess.run(
        [find_prometheus() / "promtool", *command.words[1:]],
        cwd=ROOT, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert command.sees in done.stdout


def test_no_other_program_is_named_that_nobody_tries() -> None:
    tried = {"tezsign", "curl", "promtool", *SYSTEM}
    others = [command for command in COMMANDS if command.words[0] not in tried]
    assert {command.words[0] for command in others} == {"sudo"}
    installed = {"apt", "python3", "/opt/tezsign/bin/pip", "cp", "udevadm", "install", "systemctl"}
    assert {command.words[1] for command in others} == installed


def test_every_file_that_is_named_is_there() -> None:
    named = set(re.findall(r"\b(?:builder|docs|requirements|tests)/[\w./-]*\w", TEXT))
    assert len(named) > 5
    assert not [name for name in named if not (ROOT / name).exists()]


def test_every_alert_of_the_rules_is_in_the_guide() -> None:
    rules = (ROOT / "builder/assets/prometheus-alerts.yml").read_text()
    in_rules = re.findall(r"- alert: (\w+)", rules)
    assert re.findall(r"^\| (Tezsign\w+) \|", TEXT, re.MULTILINE) == in_rules


def test_every_command_in_the_text_exists() -> None:
    """Those in tables and sentences too: the command is known, with these options."""
    for words in map(shlex.split, re.findall(r"`(tezsign [^`…]+)`", TEXT)):
        names = [word for word in words[1:3] if word.isidentifier() or "-" in word]
        if names and not names[0].startswith("--"):
            assert names[0] in cli.COMMANDS, words
