"""The board of a `tezsign run`, seen by a witness: signatures are noted, reports compared.

Owns the order. Before a key signs in a session, its report has been compared; a request is checked
in memory; the signature is noted in memory before the baker gets it. The file follows: a second
later at most, and at the end. No disk is in a signature's way.

What the file promises: a signature that was given out a second (and the time of a write) before the
host died is in it. So a rollback of the board is missed only where the host lost its last second
too, and then only for what was signed in that second; against everything else than a rollback the
board's own marks stand, which are durable before each signature. A disk that can't be written costs
that promise and no signature: it is told, once for each reason.

Implements `host.remote_signer.Board` around a `host.session_board.SessionBoard`.
"""

import logging
from collections.abc import Mapping
from functools import lru_cache
from typing import Final, Protocol

import trio

from broker.messages import KeyStatus
from host.errors import HostError, WitnessDamaged, WitnessRefusal
from host.witness import Place, SeenMark, Witness, hash_payload
from host.witness_file import WitnessFile
from tezos.consensus import parse_payload
from tezos.errors import BadPayload
from tezos.keys import KeyType, encode_chain_id

__all__ = ["InnerBoard", "WitnessedBoard", "open_witness"]

logger = logging.getLogger(__name__)

run_in_thread = trio.to_thread.run_sync

_WRITE_S: Final = 1.0
_LAST_WRITE_S: Final = 1.0


class InnerBoard(Protocol):
    @property
    def problem(self) -> HostError | None: ...
    async def wait_up(self, after: int = 0) -> int: ...
    async def status(self) -> tuple[KeyStatus, ...]: ...
    async def sign(self, pkh: str, payload: bytes) -> bytes: ...
    async def prove_possession(self, pkh: str, public_key: bytes) -> bytes: ...


class WitnessedBoard:
    """One per `tezsign run`."""

    def __init__(self, board: InnerBoard, file: WitnessFile, witness: Witness) -> None:
        self._board = board
        self._file = file
        self._witness = witness
        self._written = witness.version
        self._changed = trio.lowlevel.ParkingLot()
        self._session = 0
        self._compared: set[str] = set()
        self._rolled_back: dict[str, str] = {}
        self._told = ""

    @property
    def problem(self) -> HostError | None:
        return self._board.problem

    @property
    def rolled_back(self) -> Mapping[str, str]:
        """By address, why the board's marks for a key are not to be relied on."""
        return self._rolled_back

    async def wait_up(self, after: int = 0) -> int:
        return await self._board.wait_up(after)

    async def prove_possession(self, pkh: str, public_key: bytes) -> bytes:
        return await self._board.prove_possession(pkh, public_key)

    async def status(self) -> tuple[KeyStatus, ...]:
        """Compares the board's report with what was seen before it was asked for."""
        session = await self._board.wait_up()
        before = Witness(self._witness.marks())
        keys = await self._board.status()
        if session != self._session:
            self._session = session
            self._compared.clear()
        for key in keys:
            self._compare(key, before)
        self._note_change()
        return keys

    async def sign(self, pkh: str, payload: bytes) -> bytes:
        """Raises: WitnessRefusal: nothing was asked of the board."""
        await self._check_key(pkh)
        asked = _read(pkh, payload)
        if asked is None:  # the board says what is wrong with it
            return await self._board.sign(pkh, payload)
        place, mark = asked
        self._witness.check(place, mark)
        signature = await self._board.sign(pkh, payload)
        self._witness.see(place, mark)
        self._note_change()
        return signature

    async def run(self) -> None:
        """Writes what changes, at most once a second, until it is cancelled; then a last time."""
        event = "the witness goes on" if self._witness.marks() else "the witness is new"
        logger.info(event, extra={"file": str(self._file.path)})
        try:
            await self._write()  # a place that can't be written is told now
            while True:
                while self._witness.version == self._written:
                    await self._changed.park()
                await self._write()
                await trio.sleep(_WRITE_S)
        finally:
            with trio.CancelScope(shield=True, deadline=trio.current_time() + _LAST_WRITE_S):
                if self._witness.version != self._written:
                    await self._write()

    async def _check_key(self, pkh: str) -> None:
        """A key is compared in each session before it signs, and again while it falls short."""
        session = await self._board.wait_up()
        if session != self._session or pkh not in self._compared or pkh in self._rolled_back:
            await self.status()
        if pkh in self._rolled_back:
            raise WitnessRefusal(self._rolled_back[pkh])

    def _compare(self, key: KeyStatus, before: Witness) -> None:
        if key.marks is None:
            self._compared.discard(key.pkh)  # locked: it is compared once it is unlocked
            return
        reason = before.find_rollback(key)
        if reason is None:
            if self._rolled_back.pop(key.pkh, None):
                logger.warning(
                    "the marks were raised: the key is used again", extra={"key": key.id}
                )
        elif self._rolled_back.get(key.pkh) != reason:
            self._rolled_back[key.pkh] = reason
            logger.error("the board was rolled back", extra={"key": key.id, "reason": reason})
        self._compared.add(key.pkh)
        self._witness.see_report(key)

    def _note_change(self) -> None:
        if self._witness.version != self._written:
            self._changed.unpark_all()

    async def _write(self) -> None:
        version, marks = self._witness.version, self._witness.marks()
        try:
            merged = await run_in_thread(self._file.merge, marks, abandon_on_cancel=True)
        except (OSError, WitnessDamaged) as error:
            self._tell(str(error))
            return
        self._told = ""
        is_all = self._witness.version == version
        self._witness.see_all(merged)  # also what another tezsign run has seen
        self._written = self._witness.version if is_all else version

    def _tell(self, reason: str) -> None:
        if reason != self._told:
            logger.error("the witness can't be written", extra={"reason": reason})
        self._told = reason


def open_witness(board: InnerBoard, file: WitnessFile) -> WitnessedBoard:
    """Reads what was seen before. Blocks.

    Raises:
        WitnessDamaged: the file is there, and can't be relied on.
    """
    return WitnessedBoard(board, file, Witness(file.load()))


# A key signs on one chain, and base58 costs more than the rest of this file.
_name_chain: Final = lru_cache(maxsize=16)(encode_chain_id)


def _read(pkh: str, payload: bytes) -> tuple[Place, SeenMark] | None:
    try:
        parsed = parse_payload(payload, KeyType(pkh[:3]))
    except (ValueError, BadPayload):
        return None
    place = Place(address=pkh, chain_id=_name_chain(parsed.chain_id), kind=parsed.kind)
    return place, SeenMark(
        level=parsed.level, round=parsed.round, payload_hash=hash_payload(payload)
    )
