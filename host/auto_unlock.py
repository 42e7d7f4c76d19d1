"""Unlocks the keys after each start of the board, where a person has left the passphrase.

Owns when: once for each start (a start id that is new, see `broker.board_messages`), and no more,
so that keys which a person locks afterwards stay locked. A wrong passphrase is tried once: each try
counts on the board, and a person must be able to get in. Never holds the passphrase between tries.
One of the tasks of `host.serving`.
"""

import hashlib
import logging
import secrets
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from typing import Final, Protocol

import trio

from broker.messages import ErrorCode, KeyOutcome, KeyStatus
from host.errors import DeviceUnavailable, HostError, Refused, UsageError
from host.outage import Outage

__all__ = ["AutoUnlock", "BoardSession", "Passphrase", "UnlockClient"]

logger = logging.getLogger(__name__)

_LOOK_S: Final = 2.0
_AGAIN_S: Final = 0.5
_PING_S: Final = 10.0
_UNLOCK_S: Final = 90.0
"""A small board derives a key in seconds, and may have other work before."""
_AFTER_REFUSAL_S: Final = 30.0
"""The board's own throttle forgets a try after this long."""


class UnlockClient(Protocol):
    async def ping(self) -> bytes: ...
    async def status(self) -> Sequence[KeyStatus]: ...
    async def unlock(
        self, passphrase: bytes, ids: tuple[str, ...] = ()
    ) -> Sequence[KeyOutcome]: ...


class Passphrase(Protocol):
    """A `host.credential.Credential`."""

    @property
    def source(self) -> str: ...
    @property
    def is_open_to_others(self) -> bool: ...
    async def read(self) -> bytes: ...


class BoardSession(Protocol):
    """The lasting session on interface 0, and a way to manage the same board."""

    async def wait_up(self) -> int: ...
    async def ask_start_id(self) -> bytes: ...
    def open_management(self) -> AbstractAsyncContextManager[UnlockClient]: ...


class AutoUnlock:
    """`ids` empty = all keys."""

    def __init__(self, board: BoardSession, credential: Passphrase, ids: Sequence[str]) -> None:
        self._board = board
        self._credential = credential
        self._ids = frozenset(ids)
        # A hash under a key that nobody else has: what was refused, and not what it was.
        self._hash_key = secrets.token_bytes(32)
        self._refused: bytes | None = None
        self._outage = Outage()
        self._seen: bytes | None = None
        self._is_done = False
        self._told = ""
        self._wrong = UsageError(
            "the board says that this is not its passphrase: it is not tried again until it is"
            " corrected; tezsign unlock unlocks by hand"
        )

    async def run(self) -> None:
        """Runs until it is cancelled."""
        if self._credential.is_open_to_others:
            logger.warning(
                "other accounts of this machine may read the passphrase",
                extra={"source": self._credential.source},
            )
        while True:
            await self._board.wait_up()
            try:
                await self._look()
                self._outage.end()
                delay_s = _LOOK_S
            except (DeviceUnavailable, trio.TooSlowError) as error:
                # A link that is away, or a command that has the board's other interface.
                if self._outage.fail(trio.current_time()):
                    self._tell("keys are not unlocked yet", error)
                delay_s = _AGAIN_S
            except HostError as error:
                self._tell("the board did not unlock its keys", error)
                delay_s = _AFTER_REFUSAL_S
            await trio.sleep(delay_s)

    async def _look(self) -> None:
        with trio.fail_after(_PING_S):
            start_id = await self._board.ask_start_id()
        if start_id != self._seen:
            self._seen, self._is_done, self._told = start_id, False, ""
        if not self._is_done:
            self._is_done = await self._unlock()

    async def _unlock(self) -> bool:
        """Says whether all has been done for this start."""
        try:
            passphrase = await self._credential.read()
        except UsageError as error:
            self._tell("the passphrase can't be read", error)
            return False
        if self._hash(passphrase) == self._refused:
            self._tell("keys stay locked", self._wrong)
            return False
        with trio.fail_after(_UNLOCK_S):
            async with self._board.open_management() as client:
                return await self._unlock_locked(client, passphrase)

    async def _unlock_locked(self, client: UnlockClient, passphrase: bytes) -> bool:
        keys = await client.status()
        if unknown := self._ids - {key.id for key in keys}:
            logger.error("keys to unlock are not on the board", extra={"keys": " ".join(unknown)})
        locked = tuple(
            key.id
            for key in keys
            if key.lock_state == "locked" and (not self._ids or key.id in self._ids)
        )
        if not locked:
            return True
        try:
            outcomes = await client.unlock(passphrase, locked)
        except Refused as error:
            if error.code != ErrorCode.UNLOCK_BAD_PASSPHRASE:
                raise
            self._refused = self._hash(passphrase)
            self._tell("keys stay locked", self._wrong)
            return False
        for outcome in outcomes:
            if outcome.code != 0:
                fields = {"key": outcome.id, "reason": outcome.message}
                logger.error("key not unlocked", extra=fields)
        unlocked = [outcome.id for outcome in outcomes if outcome.code == 0]
        logger.info("keys unlocked", extra={"keys": " ".join(unlocked)})
        return True

    def _tell(self, event: str, error: Exception) -> None:
        """Says the same thing once."""
        told = f"{event}: {error}"
        if told != self._told:
            reason = str(error) or "the board gives no answer"
            fields = {"source": self._credential.source, "reason": reason}
            logger.error(event, extra=fields)
        self._told = told

    def _hash(self, passphrase: bytes) -> bytes:
        return hashlib.blake2b(passphrase, key=self._hash_key).digest()
