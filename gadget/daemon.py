"""The gadget daemon's main flow: keys, then the revival loop, until a signal says stop.

Read next: `gadget.revival` (sessions), `gadget.channel` (one interface), `gadget.rpc` (one
request), `gadget.keychain.keyring` (one signature).
"""

import gc
import logging
import os
import pwd
import signal

import trio

from gadget.errors import GadgetError
from gadget.imageinfo import load_image_info
from gadget.keychain.keyring import Keyring
from gadget.logs import LogBook
from gadget.revival import run_revival
from gadget.rpc import Service
from gadget.settings import Settings
from gadget.signature_log import SignatureLog

__all__ = ["run_daemon"]

logger = logging.getLogger(__name__)


async def run_daemon(settings: Settings, log_book: LogBook) -> None:
    """Runs until SIGTERM or SIGINT.

    Raises:
        OSError, GadgetError: it could not start (no data folder, unknown user); a person must act.
    """
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
        async with trio.open_nursery() as nursery:
            nursery.start_soon(signatures.run)
            nursery.start_soon(run_revival, settings, service, ready_uids)
            logger.info("gadget is up", extra={"data": str(settings.data)})
            await _wait_stop_signal()
            nursery.cancel_scope.cancel()
    logger.info("gadget has stopped")


async def _wait_stop_signal() -> None:
    with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
        async for number in signals:
            logger.info("told to stop", extra={"signal": signal.Signals(number).name})
            return


def _ready_uids(registrar_user: str) -> frozenset[int]:
    """Who may connect to the ready socket: root, ourselves and the registrar's account."""
    uids = {0, os.geteuid()}
    if registrar_user:
        try:
            uids.add(pwd.getpwnam(registrar_user).pw_uid)
        except KeyError as error:
            raise GadgetError(f"there is no account {registrar_user}") from error
    return frozenset(uids)
