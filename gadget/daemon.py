"""The gadget daemon's main flow: keys, then the parts that run until a signal says stop.

Every long-lived task is a part: `gadget.supervisor` starts it again whatever it fails with, and
`gadget.watch` tells systemd whether all of them are alive. They end in order: the session with its
sockets and endpoints, then the log of signatures and the watch, then the keyring.

Read next: `gadget.revival` (sessions), `gadget.channel` (one interface), `gadget.rpc` (one
request), `gadget.keychain.keyring` (one signature).
"""

import gc
import logging
import os
import pwd
import signal
from collections.abc import Awaitable, Callable, Iterator
from functools import partial
from pathlib import Path

import trio

from gadget.errors import GadgetError
from gadget.health.board_figures import BoardFacts
from gadget.health.collector import Sources
from gadget.health.kit import HealthKit
from gadget.health.monitor import Monitor
from gadget.health.rescue import Rescue
from gadget.health.socket import serve_health
from gadget.imageinfo import load_image_info
from gadget.keychain.keyring import Keyring
from gadget.logs import LogBook
from gadget.part import Part
from gadget.revival import run_revival
from gadget.rpc import Service
from gadget.settings import Settings
from gadget.signature_log import SignatureLog
from gadget.status_line import describe
from gadget.stop_signal import catch_stop_signals, tell_slow_stop
from gadget.supervisor import keep_running
from gadget.watch import Watch
from registrar.notify import notify_stopping

__all__ = ["run_daemon"]

logger = logging.getLogger(__name__)


async def run_daemon(settings: Settings, log_book: LogBook, kit: HealthKit) -> None:
    """Runs until SIGTERM or SIGINT.

    Raises:
        OSError, GadgetError: it could not start (no data folder, unknown user); a person must act.
    """
    with catch_stop_signals() as told:
        ready_uids = _ready_uids(settings.registrar_user)
        async with Keyring.open(settings.data) as keyring:
            kit.crashes.open_history()
            parts = _Parts()
            image = load_image_info(settings.image)
            monitor = _open_monitor(settings, kit, keyring, parts, BoardFacts(image))
            signatures = SignatureLog(kit.meters.total)
            service = Service(
                keyring=keyring,
                log_book=log_book,
                image=image,
                signatures=signatures,
                meters=kit.meters,
                health=monitor.answer,
            )
            # What lives as long as the process need not be looked at by the collector again.
            gc.collect()
            gc.freeze()
            logger.info("gadget is up", extra={"data": str(settings.data)})
            revival = partial(run_revival, settings, service, ready_uids, meters=kit.meters)
            status = partial(describe, parts.usb, keyring)
            watch = Watch(parts.vital, status, _rescue(parts, kit))
            for part, run in (
                (parts.log, signatures.run),
                (parts.watch, watch.run),
                (parts.health, monitor.run),
                *_health_socket(parts, kit, monitor),
            ):
                parts.background.append(partial(keep_running, part, run))
            await _run_parts(parts, revival, told, kit.crashes.note_stopping)
        kit.crashes.end()
        logger.info("gadget has stopped")


class _Parts:
    """The daemon's long-lived tasks. The watchdog waits for `vital`, health costs no signature."""

    def __init__(self) -> None:
        self.usb = Part("usb")
        self.log = Part("signature log")
        self.watch = Part("watch")
        self.health = Part("health")
        self.socket = Part("health socket")
        self.vital = (self.usb, self.log)
        self.others = (self.health, self.socket)
        self.background: list[Callable[[], Awaitable[object]]] = []


def _open_monitor(
    settings: Settings, kit: HealthKit, keyring: Keyring, parts: _Parts, board: BoardFacts
) -> Monitor:
    kit.meters.turn_also(keyring.health.marks.turn, keyring.health.signature.turn)
    return Monitor(
        Sources(
            parts=(*parts.vital, parts.watch, *parts.others),
            keyring=keyring,
            meters=kit.meters,
            log=kit.log,
            crashes=kit.crashes,
            clock=kit.clock,
            settings=kit.settings,
            data=settings.data,
            board=board,
        )
    )


async def _run_parts(
    parts: _Parts,
    revival: Callable[[Part], Awaitable[object]],
    told: trio.Event,
    on_stop: Callable[[], None],
) -> None:
    """Returns when all parts have ended, after `told`."""
    async with trio.open_nursery() as stop:
        stop.start_soon(tell_slow_stop, told)
        async with trio.open_nursery() as background:
            for run in parts.background:
                background.start_soon(run)
            async with trio.open_nursery() as sessions:
                sessions.start_soon(keep_running, parts.usb, revival)
                await told.wait()
                on_stop()
                notify_stopping()
                sessions.cancel_scope.cancel()
            background.cancel_scope.cancel()
        stop.cancel_scope.cancel()


def _health_socket(
    parts: _Parts, kit: HealthKit, monitor: Monitor
) -> Iterator[tuple[Part, Callable[[Part], Awaitable[object]]]]:
    endpoint = kit.settings.health_endpoint
    if kit.settings.enabled and endpoint:
        yield parts.socket, partial(serve_health, Path(endpoint), partial(monitor.answer, None))


def _rescue(parts: _Parts, kit: HealthKit) -> Callable[[], None] | None:
    if not kit.settings.task_monitoring:
        return None

    def give_up(part: str) -> None:
        kit.crashes.note(f"task {part} hung, and starting it again did not help")
        os.kill(os.getpid(), signal.SIGTERM)

    return Rescue(
        parts.vital, parts.others, attempts=kit.settings.max_restart_attempts, give_up=give_up
    ).look


def _ready_uids(registrar_user: str) -> frozenset[int]:
    """Who may connect to the ready socket: root, ourselves and the registrar's account."""
    uids = {0, os.geteuid()}
    if registrar_user:
        try:
            uids.add(pwd.getpwnam(registrar_user).pw_uid)
        except KeyError as error:
            raise GadgetError(f"there is no account {registrar_user}") from error
    return frozenset(uids)
