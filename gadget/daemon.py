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
from collections.abc import Awaitable, Callable
from functools import partial

import trio

from gadget.errors import GadgetError
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


async def run_daemon(settings: Settings, log_book: LogBook) -> None:
    """Runs until SIGTERM or SIGINT.

    Raises:
        OSError, GadgetError: it could not start (no data folder, unknown user); a person must act.
    """
    with catch_stop_signals() as told:
        ready_uids = _ready_uids(settings.registrar_user)
        async with Keyring.open(settings.data) as keyring:
            signatures = SignatureLog()
            service = Service(
                keyring=keyring,
                log_book=log_book,
                image=load_image_info(settings.image),
                signatures=signatures,
            )
            # What lives as long as the process need not be looked at by the collector again.
            gc.collect()
            gc.freeze()
            logger.info("gadget is up", extra={"data": str(settings.data)})
            revival = partial(run_revival, settings, service, ready_uids)
            await _run_parts(keyring, signatures, revival, told)
        logger.info("gadget has stopped")


async def _run_parts(
    keyring: Keyring,
    signatures: SignatureLog,
    revival: Callable[[Part], Awaitable[object]],
    told: trio.Event,
) -> None:
    """Returns when all parts have ended, after `told`."""
    usb, log, systemd = Part("usb"), Part("signature log"), Part("watch")
    watch = Watch([usb, log], partial(describe, usb, keyring))
    async with trio.open_nursery() as stop:
        stop.start_soon(tell_slow_stop, told)
        async with trio.open_nursery() as background:
            background.start_soon(keep_running, log, signatures.run)
            background.start_soon(keep_running, systemd, watch.run)
            async with trio.open_nursery() as sessions:
                sessions.start_soon(keep_running, usb, revival)
                await told.wait()
                notify_stopping()
                sessions.cancel_scope.cancel()
            background.cancel_scope.cancel()
        stop.cancel_scope.cancel()


def _ready_uids(registrar_user: str) -> frozenset[int]:
    """Who may connect to the ready socket: root, ourselves and the registrar's account."""
    uids = {0, os.geteuid()}
    if registrar_user:
        try:
            uids.add(pwd.getpwnam(registrar_user).pw_uid)
        except KeyError as error:
            raise GadgetError(f"there is no account {registrar_user}") from error
    return frozenset(uids)
