"""Commands about the board as a whole: list-devices, version, logs, ping."""

import statistics
from typing import Final

import click
import trio

from broker.version import VERSION
from host.client import Client
from host.commands.board import ask, choose_board
from host.commands.options import Options, board_options
from host.discover import DeviceInfo, find_devices
from host.output import JsonValue, printable, show_json, show_table, show_text

__all__ = ["COMMANDS"]

_LOG_LINES_LIMIT: Final = 1000
_PING_LIMIT: Final = 10_000
_PING_S: Final = 2.0


@click.command("list-devices")
@board_options
@click.pass_obj
def _list_devices(options: Options) -> None:
    """Show the boards that are attached."""
    boards = [board for board in find_devices() if options.serial in (None, board.serial)]
    if options.as_json:
        show_json([_describe_board(board) for board in boards])
    elif boards:
        rows = [(b.serial or "?", b.port_path, b.problem or "ready") for b in boards]
        show_table(("serial", "port", "state"), rows)
    if not boards:
        click.echo("no board is attached: plug it in, with a cable that carries data", err=True)


@click.command("version")
@board_options
@click.pass_obj
def _version(options: Options) -> None:
    """Show the versions of this command and of the board."""
    board = ask(choose_board(options), lambda client: client.version())
    if options.as_json:
        described: dict[str, JsonValue] = {
            "version": board.version,
            "protocol": board.protocol,
            "image_version": board.image_version,
            "image_date": board.image_date,
        }
        show_json({"host": VERSION, "board": described})
        return
    rows = [
        ("this command", VERSION),
        ("board", board.version),
        ("protocol", str(board.protocol)),
        ("image", f"{board.image_version} {board.image_date}".strip() or "none"),
    ]
    show_table(("of", "version"), rows)


@click.command("logs")
@click.option(
    "--lines",
    type=click.IntRange(1, _LOG_LINES_LIMIT),
    default=100,
    show_default=True,
    help="How many, the newest.",
)
@board_options
@click.pass_obj
def _logs(options: Options, lines: int) -> None:
    """Show the board's newest log lines."""

    async def fetch(client: Client) -> tuple[str, ...]:
        return await client.logs(lines)

    found = ask(choose_board(options), fetch)
    if options.as_json:
        show_json(found)
        return
    for line in found:
        show_text(printable(line))


@click.command("ping")
@click.option(
    "--count",
    type=click.IntRange(1, _PING_LIMIT),
    default=10,
    show_default=True,
    help="How many times.",
)
@board_options
@click.pass_obj
def _ping(options: Options, count: int) -> None:
    """Measure the way to the board.

    Each time, the board echoes a random token over the management interface.
    """

    async def measure(client: Client) -> list[float]:
        times_ms = []
        for _ in range(count):
            started_s = trio.current_time()
            with trio.fail_after(_PING_S):
                await client.ping()
            times_ms.append((trio.current_time() - started_s) * 1000)
        return times_ms

    times_ms = ask(choose_board(options), measure, deadline_s=_PING_S * (count + 5))
    if options.as_json:
        show_json([{"ms": round(ms, 3)} for ms in times_ms])
        return
    low, middle, high = min(times_ms), statistics.median(times_ms), max(times_ms)
    show_text(f"{count} echoes in ms: {low:.2f} fastest, {middle:.2f} median, {high:.2f} slowest")


def _describe_board(board: DeviceInfo) -> dict[str, JsonValue]:
    return {
        "serial": board.serial,
        "product": board.product,
        "bus": board.bus,
        "address": board.address,
        "port": board.port_path,
        "readable": board.readable,
        "ready": board.ready,
        "problem": board.problem,
    }


COMMANDS: Final = {
    "list-devices": _list_devices,
    "version": _version,
    "logs": _logs,
    "ping": _ping,
}
