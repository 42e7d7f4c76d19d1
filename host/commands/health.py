"""The commands that look after a board: health, doctor.

Owns the screen's rhythm and the exit statuses. The report is `host.health_report`, its screen
`host.health_screen`, the checks of doctor `host.doctor`.
"""

import json
import os
import time
from dataclasses import replace
from pathlib import Path
from typing import Final

import click
import trio

from broker.contract import INTERFACE_MANAGE
from broker.messages import ErrorCode
from host.client import Client
from host.commands.board import ANSWER_S, ask, choose_board
from host.commands.options import Options, board_options
from host.discover import DeviceInfo
from host.doctor import Severity, examine
from host.errors import DeviceSilent, ExitStatus, HostError, Refused, UsageError
from host.health_report import HealthReport, clock_at, parse_health
from host.health_screen import health_lines
from host.output import clear_screen, printable, show_json, show_styled, show_table, show_text
from host.session import open_client
from host.settings import DEFAULT_LISTEN, ListenAddress, parse_listen
from host.witness_file import default_place

__all__ = ["COMMANDS"]

# StateDirectory= of builder/assets/tezsign-host.service, which only root may look into.
_SERVICE_WITNESS: Final = Path("/var/lib/tezsign-host/witness.json")
_STATUS: Final = {
    "healthy": ExitStatus.DONE,
    "degraded": ExitStatus.DEGRADED,
    "critical": ExitStatus.CRITICAL,
}


@click.command("health")
@click.option("--watch", is_flag=True, help="Show it again and again; Ctrl-C ends.")
@click.option(
    "--every",
    type=click.FloatRange(1, 3600),
    default=5.0,
    show_default=True,
    metavar="SECONDS",
    help="How often, with --watch.",
)
@board_options
@click.pass_obj
def _health(options: Options, *, watch: bool, every: float) -> int:
    """Show how the board is, and what to do about it.

    Exit status: 0 healthy, 6 degraded, 7 critical.
    """
    board = choose_board(options)
    if watch:
        return trio.run(_watch, replace(options, serial=board.serial), every)
    report = ask(board, ask_health)
    _show(options, board, report)
    return _STATUS[report.status]


async def ask_health(client: Client) -> HealthReport:
    """Raises: Refused with words for a person, where the board is too old to tell."""
    try:
        data = await client.health(clock_at(time.time()))
    except Refused as error:
        if error.code == ErrorCode.UNKNOWN_REQUEST:
            raise HostError(
                "the board's software is too old to tell its health: update it"
            ) from error
        raise
    return parse_health(data)


async def _watch(options: Options, every_s: float) -> int:
    """Goes on where the board goes away for a while. Ends with Ctrl-C."""
    while True:
        try:
            with trio.fail_after(ANSWER_S):
                board = await trio.to_thread.run_sync(choose_board, options)
                async with open_client(board, INTERFACE_MANAGE) as client:
                    report = await ask_health(client)
        except (HostError, trio.TooSlowError) as error:
            reason = str(error) or str(DeviceSilent("the board does not answer"))
            show_text(f"no report: {reason}")
        else:
            if not options.as_json:
                clear_screen()
            _show(options, board, report, one_line=True)
        await trio.sleep(every_s)


def _show(
    options: Options, board: DeviceInfo, report: HealthReport, *, one_line: bool = False
) -> None:
    if options.as_json:
        show_text(json.dumps(report.document, indent=None if one_line else 2))
    else:
        show_styled(health_lines(report, board.serial))


@click.command("doctor")
@click.option(
    "--listen",
    default=DEFAULT_LISTEN,
    show_default=True,
    metavar="ADDRESS:PORT",
    help="Where tezsign run serves the baker.",
)
@click.option(
    "--witness-file",
    type=click.Path(dir_okay=False, path_type=Path),
    envvar="TEZSIGN_WITNESS_FILE",
    metavar="PATH",
    help="The witness file of tezsign run (as a rule this account's, or else the service's).",
)
@board_options
@click.pass_obj
def _doctor(options: Options, listen: str, witness_file: Path | None) -> int:
    """Examine everything between the baker and its keys.

    Exit status: 0 where nothing is broken, else 1.
    """
    findings = examine(options.serial, _parse_listen(listen), witness_file or _find_witness())
    if options.as_json:
        show_json([
            {"check": f.check, "result": f.severity.value, "found": f.found, "fix": f.fix}
            for f in findings
        ])  # fmt: skip
    else:
        show_table(("check", "", "found"), [(f.check, f.severity.value, f.found) for f in findings])
        for finding in findings:
            if finding.fix:
                show_text(printable(f"{finding.check}: {finding.fix}"))
    broken = any(finding.severity is Severity.BROKEN for finding in findings)
    return ExitStatus.FAILED if broken else ExitStatus.DONE


def _parse_listen(text: str) -> ListenAddress:
    try:
        return parse_listen(text)
    except ValueError as error:
        raise UsageError(str(error)) from error


def _find_witness() -> Path:
    own = default_place()
    is_service = os.access(_SERVICE_WITNESS, os.R_OK) and not own.exists()
    return _SERVICE_WITNESS if is_service else own


COMMANDS: Final = {"health": _health, "doctor": _doctor}
