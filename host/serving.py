"""The main flow of `tezsign run`: session, HTTP server and the tasks around them, until a signal.

Waits for a board that is not there yet and for one that went away: the baker is told 503 meanwhile.
Read next: `host.session` (the board), `host.remote_signer` (one request), `host.witnessed_board`,
`host.key_watch`, `host.auto_unlock`.
"""

import logging
import os
import signal
from typing import Final

import trio

from broker.contract import INTERFACE_SIGN
from host.authentication import Authenticator
from host.auto_unlock import AutoUnlock
from host.board_health import BoardHealth
from host.credential import Credential
from host.discover import choose
from host.errors import DeviceUnavailable, ExitStatus, HostError
from host.http_server import HttpServer
from host.key_directory import KeyDirectory
from host.key_watch import KeyWatch
from host.metrics_api import MetricsApi
from host.readiness import Readiness
from host.remote_signer import RemoteSigner
from host.run_meters import MeteredSigner, RunMeters
from host.service_manager import ServiceManager
from host.session import PersistentSession
from host.session_board import SessionBoard
from host.settings import ListenAddress, RunSettings
from host.witness_file import WitnessFile
from host.witnessed_board import open_witness

__all__ = ["serve"]

logger = logging.getLogger(__name__)

_INTERRUPTED: Final = 130
_HOUR_S: Final = 3600.0


async def serve(
    settings: RunSettings,
    authenticator: Authenticator | None,
    serial: str | None,
    credential: Credential | None = None,
) -> int:
    """Returns the exit status once SIGTERM or SIGINT came.

    Raises:
        HostError: it can't start: address in use, several boards, another process has the board,
            no libusb, no such key, a damaged witness file.
    """
    serving = _Serving(settings, authenticator, serial, credential)
    with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(serving.run)
            number = await anext(aiter(signals))
            logger.info("ending", extra={"signal": signal.Signals(number).name})
            await serving.stop()
            nursery.cancel_scope.cancel()
    return _INTERRUPTED if number == signal.SIGINT else ExitStatus.DONE


class _Serving:
    """What lives as long as one `tezsign run`."""

    def __init__(
        self,
        settings: RunSettings,
        authenticator: Authenticator | None,
        serial: str | None,
        credential: Credential | None,
    ) -> None:
        self._settings = settings
        self._serial = serial
        self._credential = credential
        self._session = PersistentSession(serial, INTERFACE_SIGN)
        self._board = SessionBoard(self._session)
        self._witnessed = open_witness(self._board, WitnessFile(settings.witness_file))
        self._directory = KeyDirectory(settings.aliases)
        self._meters = RunMeters()
        self._health = BoardHealth(self._board, self._meters.note_session)
        signer = RemoteSigner(self._witnessed, self._directory, authenticator)
        self._manager = ServiceManager()
        self.server = HttpServer(MeteredSigner(signer.answer, self._meters).answer)

    async def stop(self) -> None:
        """Answers what was asked; `run` is cancelled after this."""
        self._manager.say_stopping()
        self.server.stop()
        await self.server.wait_ended()

    async def run(self) -> None:
        """Runs until it is cancelled."""
        unavailable = await _look_for_board(self._serial)
        async with trio.open_nursery() as nursery:
            address = await _start_server(nursery, self.server, self._settings.listen)
            if self._settings.metrics is not None:
                await self._start_metrics(nursery, self._settings.metrics)
            if unavailable is not None:
                fields = {"url": address.url, "reason": str(unavailable)}
                logger.warning("serving without a board", extra=fields)
            nursery.start_soon(self._session.run)
            nursery.start_soon(self._manager.follow, self._session, self.server)
            nursery.start_soon(self._witnessed.run)
            nursery.start_soon(KeyWatch(self._witnessed, self._directory, address.url).run)
            nursery.start_soon(_report_sessions, self._session)
            nursery.start_soon(self._health.run)
            if self._credential is not None:
                ids = self._settings.unlock_ids or self._settings.aliases
                nursery.start_soon(AutoUnlock(self._board, self._credential, ids).run)

    async def _start_metrics(self, nursery: trio.Nursery, address: ListenAddress) -> None:
        api = MetricsApi(
            session=self._session,
            keys=self._witnessed,
            directory=self._directory,
            readiness=Readiness(self._witnessed, self._directory),
            health=self._health,
            meters=self._meters,
        )
        # Asked each few seconds for years: not a line for each.
        server = HttpServer(api.answer, log_level=logging.DEBUG)
        bound = await _start_server(nursery, server, address)
        logger.info("metrics", extra={"url": f"{bound.url}/metrics"})


async def _look_for_board(serial: str | None) -> DeviceUnavailable | None:
    """Raises what a person must change at once; a board that is only not there is waited for."""
    try:
        await trio.to_thread.run_sync(choose, serial, abandon_on_cancel=True)
    except DeviceUnavailable as error:
        return error
    return None


async def _start_server(
    nursery: trio.Nursery, server: HttpServer, address: ListenAddress
) -> ListenAddress:
    try:
        started: ListenAddress = await nursery.start(server.run, address)
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else str(error)
        raise HostError(f"cannot listen on {address.url}: {reason}") from error
    return started


async def _report_sessions(session: PersistentSession) -> None:
    """Each hour, how often the board came and went: more than a few say that something is wrong."""
    before = session.counters()
    while True:
        await trio.sleep(_HOUR_S)
        now = session.counters()
        fields = {
            "opened": now.opened - before.opened,
            "lost": now.lost - before.lost,
            "failed": now.failed - before.failed,
            "repeated": now.repeated - before.repeated,
        }
        logger.info("sessions in the last hour", extra=fields)
        before = now
