"""`tezsign doctor`: one finding for each thing between the baker and its keys, with its fix.

Owns the order: from the machine over the cable to the baker's port; what needs a board is left out
where there is none. Reads and asks; changes nothing, and opens no session on interface 0, so that a
`tezsign run` goes on. Looking at this machine is `host.machine_checks`.
"""

import json
import time
import urllib.error
import urllib.request
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import trio

from broker.contract import INTERFACE_MANAGE
from broker.messages import KeyStatus, VersionResponse
from broker.version import VERSION
from host.client import Client
from host.discover import DeviceInfo, find_devices
from host.errors import DeviceBusy, HostError, UsbUnsupported
from host.finding import Finding, Severity
from host.health_report import HealthReport, clock_at, parse_health
from host.machine_checks import check_clock, check_speed, check_udev_rule
from host.outage import advise
from host.session import open_client
from host.settings import ListenAddress
from host.witness import Witness
from host.witness_file import WitnessFile

__all__ = ["Finding", "Severity", "examine"]

_SESSION_S: Final = 15.0
_HTTP_S: Final = 3.0
_SLOW_MS: Final = 100.0
_PINGS: Final = 5

_BAD_CABLE: Final = (
    "check the cable (one that carries data), the port or hub, and the board's power"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Told:
    """What the board has said of itself."""

    version: VersionResponse
    keys: tuple[KeyStatus, ...]
    health: HealthReport | None
    ping_ms: float


def examine(serial: str | None, listen: ListenAddress, witness_file: Path) -> list[Finding]:
    """Returns all findings, in the order in which they should be read."""
    return list(_examine(serial, listen, witness_file))


def _examine(serial: str | None, listen: ListenAddress, witness_file: Path) -> Iterator[Finding]:
    yield check_clock()
    yield check_udev_rule()
    board = None
    try:
        found = find_devices()
    except UsbUnsupported as error:
        yield Finding.broken("libusb", str(error), "install libusb 1.0 (Debian: libusb-1.0-0)")
    else:
        board = yield from _check_boards(found, serial)
    keys: tuple[KeyStatus, ...] = ()
    if board is not None:
        yield check_speed(board.port_path)
        told = yield from _check_session(board)
        if told is not None:
            yield _check_versions(told.version)
            yield from _check_keys(told.keys)
            yield _check_marks(told.keys, witness_file)
            yield _check_health(told.health)
            keys = told.keys
    yield _check_http(listen, keys)


def _check_boards(
    found: tuple[DeviceInfo, ...], serial: str | None
) -> Generator[Finding, None, DeviceInfo | None]:
    """Returns the board that is meant, where it can be asked."""
    meant = [board for board in found if serial in (None, board.serial)]
    if not meant:
        which = "no board is attached" if serial is None else f"no board {serial} is attached"
        yield Finding.broken("cable", which, _BAD_CABLE)
        return None
    if len(meant) > 1:
        serials = ", ".join(board.serial or "?" for board in meant)
        yield Finding.broken("cable", f"several boards: {serials}", "name one with --device SERIAL")
        return None
    (board,) = meant
    yield Finding.good("cable", f"board {board.serial or '?'} at usb {board.port_path}")
    if not board.readable:
        yield Finding.broken(
            "permission", board.problem or "the board can't be opened",
            "install the udev rule, join the group plugdev, then log in again",
        )  # fmt: skip
        return None
    yield Finding.good("permission", "this account may use the board")
    if not board.ready:
        yield Finding.broken(
            "device mode", board.problem or "the board's signer is not ready",
            "wait a minute; then cut the board's power, and if that does not help look at its card",
        )  # fmt: skip
        return None
    yield Finding.good("device mode", "the board's signer is ready")
    return board


def _check_session(board: DeviceInfo) -> Generator[Finding, None, _Told | None]:
    try:
        told = trio.run(_ask, board)
    except DeviceBusy as error:
        yield Finding.doubtful("session", str(error), "wait for the other command, then try again")
        return None
    except HostError as error:
        yield Finding.broken("session", str(error), advise(error))
        return None
    except trio.TooSlowError:
        yield Finding.broken(
            "session", "the board does not answer", "tezsign advanced usb-port-reset"
        )
        return None
    words = f"an echo takes {told.ping_ms:.1f} ms"
    if told.ping_ms > _SLOW_MS:
        yield Finding.doubtful("session", words, "use another port, without a hub")
    else:
        yield Finding.good("session", words)
    return told


async def _ask(board: DeviceInfo) -> _Told:
    with trio.fail_after(_SESSION_S):
        async with open_client(board, INTERFACE_MANAGE) as client:
            times_ms = [await _time_ping_ms(client) for _ in range(_PINGS)]
            return _Told(
                version=await client.version(),
                keys=await client.status(),
                health=await _ask_health(client),
                ping_ms=min(times_ms),
            )


async def _time_ping_ms(client: Client) -> float:
    begun_s = trio.current_time()
    await client.ping()
    return (trio.current_time() - begun_s) * 1000


async def _ask_health(client: Client) -> HealthReport | None:
    try:
        return parse_health(await client.health(clock_at(time.time())))
    except HostError:
        return None


def _check_versions(board: VersionResponse) -> Finding:
    words = f"host {VERSION}, board {board.version}, image {board.image_version or 'none'}"
    if board.version == VERSION:
        return Finding.good("versions", words)
    return Finding.doubtful("versions", words, "update the older one; they work together meanwhile")


def _check_keys(keys: tuple[KeyStatus, ...]) -> Iterator[Finding]:
    if not keys:
        yield Finding.broken("keys", "there is no key", "tezsign init, then tezsign new NAME")
    for key in keys:
        name = f"key {key.id}"
        if key.lock_state == "unlocked":
            yield Finding.good(name, f"{key.pkh} is unlocked")
        elif key.lock_state == "locked":
            yield Finding.broken(name, f"{key.pkh} is locked: it signs nothing", "tezsign unlock")
        else:
            fix = f"tezsign advanced set-level {key.id} LEVEL, the head of the chain at least"
            yield Finding.broken(name, f"{key.pkh} is unusable: its marks can't be read", fix)


def _check_marks(keys: tuple[KeyStatus, ...], file: Path) -> Finding:
    try:
        witness = Witness(WitnessFile(file).load())
    except HostError as error:
        return Finding.broken("witness", str(error), "see docs/on-disk.md for this file")
    except OSError as error:
        return Finding.doubtful(
            "witness", f"{file} can't be read: {error.strerror}", "run doctor as tezsign run runs"
        )
    if not witness.marks():
        return Finding.doubtful(
            "witness", f"nothing is noted in {file}", "run doctor as the account of tezsign run"
        )
    problems = [problem for key in keys if (problem := witness.find_rollback(key))]
    if problems:
        return Finding.broken("witness", problems[0], "see docs/failover.md before anything else")
    return Finding.good("witness", "the board's marks are not behind what this host has seen")


def _check_health(health: HealthReport | None) -> Finding:
    if health is None:
        return Finding.doubtful("health", "the board has no health report", "update its image")
    if health.status == "healthy":
        return Finding.good("health", f"healthy, score {health.score}")
    words = f"{health.status}: {'; '.join(alert.message for alert in health.alerts)}"
    if health.status == "critical":
        return Finding.broken("health", words, "tezsign health says what to do")
    return Finding.doubtful("health", words, "tezsign health says what to do")


def _check_http(listen: ListenAddress, keys: tuple[KeyStatus, ...]) -> Finding:
    check = "http signer"
    try:
        with urllib.request.urlopen(f"{listen.url}/known_keys", timeout=_HTTP_S) as answer:  # noqa: S310
            known = json.loads(answer.read(64 * 1024))["known_keys"]
    except urllib.error.HTTPError as error:
        return Finding.broken(
            check, f"{listen.url} answers with status {error.code}", "see the log of tezsign run"
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        reason = getattr(error, "reason", error)
        return Finding.broken(
            check, f"no answer at {listen.url}: {reason}", "start tezsign run, or say --listen"
        )
    served = sum(key.pkh in known for key in keys)
    words = f"{listen.url} serves {len(known)} keys, {served} of them on this board"
    if keys and not served:
        return Finding.broken(check, words, "is it the signer of another board?")
    return Finding.good(check, words)
