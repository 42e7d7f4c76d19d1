"""The lines of docs/operations.md with systemctl and journalctl, on a real systemd."""

import pytest

from tests.host.operations import COMMANDS, Command
from tests.registrar.loop import wait_until
from tests.systemd.test_host import signer
from tests.systemd.units import PATIENCE_S, journal, run

__all__ = ["signer"]

LINES = [command for command in COMMANDS if command.words[0] in ("systemctl", "journalctl")]


@pytest.mark.usefixtures("signer")
@pytest.mark.parametrize("command", LINES, ids=str)
def test_a_line_of_the_guide_shows_what_it_says(command: Command) -> None:
    wait_until(lambda: command.sees in run(*command.words), PATIENCE_S)


@pytest.mark.usefixtures("signer")
def test_the_boards_journal_tells_changes_of_state_in_fields() -> None:
    entries = journal("tezsign")
    assert any("gadget is up" in str(entry["MESSAGE"]) for entry in entries)
    assert all("_BOOT_ID" in entry and "__MONOTONIC_TIMESTAMP" in entry for entry in entries)
