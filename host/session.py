"""The two ways to a board: `open_client` for one command, `PersistentSession` for `tezsign run`.

Owns when a session is opened, checked, given up and opened again, and which requests may go out
twice. Never opens a session for each request. One session by itself is `host.connection`, requests
and answers are `host.client`.
"""

import copy
import logging
import math
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

import trio

from broker.backoff import Backoff
from host.client import Client
from host.connection import Connection, Session, connect_device, connect_serial, open_session
from host.discover import DeviceInfo
from host.errors import DeviceBusy, DeviceGone, DeviceSilent, HostError, NoDevice, UsbUnsupported
from host.outage import Outage, advise

__all__ = ["Connect", "PersistentSession", "SessionCounters", "open_client"]

logger = logging.getLogger(__name__)

Connect = Callable[[str | None, int], Awaitable[Connection]]

# A session is found dead within 30 s of its last answer: one check and the wait for its answer.
_CHECK_S: Final = 15.0
_CHECK_LIMIT_S: Final = 10.0
_BACKOFF_FIRST_S: Final = 0.1
# Looking for the board costs a millisecond, and it has to sign within a second of being back.
_BACKOFF_LIMIT_S: Final = 0.25
# The kernel gives back what a killed process held within milliseconds.
_BUSY_AT_FIRST_S: Final = 2.0
# So much before a caller's deadline it is told why there is no session, instead of being cancelled.
_TELL_S: Final = 0.05


@asynccontextmanager
async def open_client(device: DeviceInfo, interface: int) -> AsyncIterator[Client]:
    """Opens a session for as long as the block lasts (one-shot use by commands).

    Exceptions of the block pass through as they are, not in a group.

    Raises:
        DeviceUnavailable: NoPermission, NotReady, VersionMismatch, DeviceBusy, DeviceGone,
            DeviceSilent.
        BadAnswer, Refused: the board does not behave like one.
    """
    connection = await connect_device(device, interface)
    async with open_session(connection.stream) as session:
        yield Client(session)


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionCounters:
    """Since the start: verified sessions, sessions lost, failed attempts, requests sent again."""

    opened: int = 0
    lost: int = 0
    failed: int = 0
    repeated: int = 0


class PersistentSession:
    """Keeps one verified session to one board; reconnects by itself. A `host.client.Caller`."""

    def __init__(
        self, serial: str | None, interface: int, *, connect: Connect = connect_serial
    ) -> None:
        """`serial` None: the only board that is attached; the first one stays the one meant."""
        self.client = Client(self)
        self._serial = serial
        self._interface = interface
        self._connect = connect
        self._backoff = Backoff(first_s=_BACKOFF_FIRST_S, limit_s=_BACKOFF_LIMIT_S)
        self._session: Session | None = None
        self._problem: HostError = NoDevice("no board has been found yet")
        self._changed = trio.lowlevel.ParkingLot()
        self._turned = trio.lowlevel.ParkingLot()
        self._outage = Outage()
        self._busy_since_s = math.inf
        self._opened = 0
        self._lost = 0
        self._failed = 0
        self._repeated = 0

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Connects, checks and reconnects until it is cancelled.

        Raises:
            UsbUnsupported: no board will ever be found on this machine.
            DeviceBusy: another process has the board, and this one never had it.
        """
        task_status.started()
        while True:
            self._turned.unpark_all()
            try:
                connection = await self._connect(self._serial, self._interface)
                async with open_session(connection.stream) as session:
                    self._serial = connection.serial
                    await self._keep(session)
            except UsbUnsupported:
                raise
            except HostError as error:
                self._note_failure(error)
            await trio.sleep(self._backoff.next_delay_s())

    @property
    def problem(self) -> HostError | None:
        """Why no session is up now; None while one is."""
        return self._problem if self._session is None else None

    @property
    def serial(self) -> str | None:
        """The board's serial number; None until the first one was found."""
        return self._serial

    async def wait_up(self, after: int = 0) -> int:
        """Returns the number of the current session once it is greater than `after`; from 1 up.

        A loop that passes the last number back is woken once for each reconnect.
        """
        while self._session is None or self._opened <= after:
            await self._changed.park()
        return self._opened

    async def wait_turn(self) -> None:
        """Returns once the session has been checked, or tried, again: within 30 s, or it hangs."""
        await self._turned.park()

    async def call(self, payload: bytes, *, repeatable: bool) -> bytes:
        """Sends a request on the session that is up, waiting for one up to the caller's deadline.

        A repeatable request that loses its link goes out again on the next session, within the
        deadline.

        Raises:
            DeviceUnavailable: no session came up, a moment before the caller's deadline; or the
                link was lost under a request that is not repeatable.
        """
        while True:
            session = await self._wait_session()
            try:
                return await session.call(payload, repeatable=repeatable)
            except DeviceGone as error:
                self._drop(session, error)
                if not repeatable:
                    raise copy.copy(self._problem) from error
                self._repeated += 1

    def counters(self) -> SessionCounters:
        return SessionCounters(
            opened=self._opened, lost=self._lost, failed=self._failed, repeated=self._repeated
        )

    async def _keep(self, session: Session) -> None:
        self._session = session
        self._opened += 1
        self._outage.end()
        self._changed.unpark_all()
        logger.info("session opened", extra={"serial": self._serial, "number": self._opened})
        try:
            await self._check_until_lost(session)
        except HostError as error:
            self._drop(session, error)
        finally:
            self._session = None

    async def _check_until_lost(self, session: Session) -> None:
        while True:
            with trio.move_on_after(_CHECK_S):
                await session.wait_lost()
            self._backoff.reset()
            with trio.move_on_after(_CHECK_LIMIT_S) as scope:
                await Client(session).ping()
            if scope.cancelled_caught:
                raise DeviceSilent("the board has stopped answering")
            self._turned.unpark_all()

    async def _wait_session(self) -> Session:
        with trio.move_on_at(trio.current_effective_deadline() - _TELL_S):
            while self._session is None:
                await self._changed.park()
        if self._session is None:
            raise copy.copy(self._problem)  # several may raise it: each its own traceback
        return self._session

    def _drop(self, session: Session, error: HostError) -> None:
        """Takes note of the end of a session, whoever sees it first."""
        if self._session is session:
            self._session = None
            self._lost += 1
            self._problem = error
            logger.warning("session lost", extra={"serial": self._serial, "reason": str(error)})

    def _note_failure(self, error: HostError) -> None:
        self._failed += 1
        fields = {"serial": self._serial, "reason": str(error)}
        if str(error) != str(self._problem):
            logger.warning("no session", extra=fields)
        self._problem = error
        now_s = trio.current_time()
        if self._outage.fail(now_s):
            fields["advice"] = advise(error)
            logger.error("no session for a while", extra=fields)
        if isinstance(error, DeviceBusy) and self._opened == 0:
            self._busy_since_s = min(self._busy_since_s, now_s)
            if now_s - self._busy_since_s >= _BUSY_AT_FIRST_S:
                raise error
        else:
            self._busy_since_s = math.inf
