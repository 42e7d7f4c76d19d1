"""The one board of a `tezsign run`, as the tasks around it see it.

Owns what goes over the lasting session on interface 0, and what opens interface 1 for itself.
Called by `host.remote_signer`, `host.key_watch` and `host.auto_unlock`.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import trio

from broker.contract import INTERFACE_MANAGE
from broker.messages import KeyStatus
from host.client import Client
from host.discover import choose
from host.errors import HostError
from host.session import PersistentSession, open_client

__all__ = ["SessionBoard"]


class SessionBoard:
    def __init__(self, session: PersistentSession) -> None:
        self._session = session

    @property
    def problem(self) -> HostError | None:
        return self._session.problem

    async def wait_up(self, after: int = 0) -> int:
        return await self._session.wait_up(after)

    async def ask_start_id(self) -> bytes:
        return await self._session.client.ping()

    async def status(self) -> tuple[KeyStatus, ...]:
        return await self._session.client.status()

    async def health(self, clock_s: int | None) -> bytes:
        return await self._session.client.health(clock_s)

    async def sign(self, pkh: str, payload: bytes) -> bytes:
        return await self._session.client.sign(pkh, payload)

    async def prove_possession(self, pkh: str, public_key: bytes) -> bytes:
        async with self.open_management() as client:
            return await client.prove_possession(pkh, public_key)

    @asynccontextmanager
    async def open_management(self) -> AsyncIterator[Client]:
        """Raises: DeviceUnavailable: DeviceBusy where a command has the interface just now."""
        board = await trio.to_thread.run_sync(choose, self._session.serial)
        async with open_client(board, INTERFACE_MANAGE) as client:
            yield client
