"""The whole signer for a scenario, in the lab: registrar and gadget as console scripts, two keys.

The keys stay on /data from one scenario of a boot to the next, so each begins above the marks.
"""

import tempfile
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Final

import trio

from broker.contract import INTERFACE_MANAGE, INTERFACE_SIGN
from broker.key_status import KeyStatus
from host.client import Client
from host.discover import choose
from host.session import PersistentSession, open_client
from tests.faults.ledger import KINDS, Ledger, Place, Question, ask_at
from tests.faults.load import places_from
from tests.kernel.board import PASSPHRASE, Board, open_board
from tests.kernel.registrar_board import CONFIGFS

__all__ = ["Stack", "open_manager", "open_session", "open_stack"]

DATA: Final = Path("/data/tezsign")
_KEYS: Final = ("consensus", "companion")
_PASSPHRASE: Final = PASSPHRASE.encode()
_CONTROLLERS: Final = Path("/sys/class/udc")
_SESSION_S: Final = 60.0


class Stack:
    """A board on the bus with two unlocked keys. Made by `open_stack`."""

    def __init__(self, board: Board) -> None:
        self.board = board
        self.ledger = Ledger()
        self.keys: tuple[KeyStatus, ...] = ()
        (self._controller,) = _CONTROLLERS.iterdir()

    @property
    def addresses(self) -> tuple[str, ...]:
        return tuple(key.pkh for key in self.keys)

    def streams(self) -> list[Iterator[Place]]:
        """Each key with each kind: marks that move independently, above all that was signed."""
        level = self._free_level()
        return [places_from(address, kind, level) for address in self.addresses for kind in KINDS]

    def next_question(self) -> Question:
        """A payload above everything that was signed."""
        level = self._free_level()
        return ask_at(Place(address=self.addresses[0], kind="attestation", level=level))

    def _free_level(self) -> int:
        levels = [question.place.level for question in self.ledger.latest()]
        return max([*levels, *self.marks().values()], default=0) + 1

    def marks(self) -> dict[tuple[str, str], int]:
        """Levels by address and kind, as they were when the keys were looked at last."""
        found = {}
        for key in self.keys:
            for kind in KINDS:
                mark = getattr(key.marks, kind, None)
                if mark is not None:
                    found[key.pkh, kind] = mark.level
        return found

    async def unlock(self) -> None:
        """Makes the keys where there are none, unlocks them and reads what they are."""
        async with open_manager() as client:
            if not (await client.init_info()).initialised:
                await client.init(_PASSPHRASE, deterministic=False)
                for name in _KEYS:
                    await client.new(_PASSPHRASE, name, "tz4", None)
            outcomes = await client.unlock(_PASSPHRASE)
            assert [each.code for each in outcomes] == [0] * len(_KEYS), outcomes
            self.keys = await client.status()

    async def begin(self) -> None:
        """A scenario has a ledger of its own, and goes on above the marks of the one before."""
        self.ledger = Ledger()
        await self.look()

    async def look(self) -> None:
        """Reads what the keys are now, and their marks where they are unlocked."""
        async with open_manager() as client:
            self.keys = await client.status()

    def unbind(self) -> None:
        """What a pulled cable is to the board, and a board that left to the host."""
        (CONFIGFS / "UDC").write_text("\n")

    def bind(self) -> None:
        (CONFIGFS / "UDC").write_text(self._controller.name)

    @property
    def is_enabled(self) -> bool:
        """As the board's kernel says. After a bind it says what was before, until the reset."""
        return (self._controller / "state").read_text().strip() == "configured"


@contextmanager
def open_stack(gadget: Sequence[str]) -> Iterator[Stack]:
    """A board that is ready with unlocked keys; afterwards nothing of it runs."""
    with tempfile.TemporaryDirectory() as folder, open_board(Path(folder), DATA) as board:
        board.start_gadget(gadget)
        stack = Stack(board)
        trio.run(stack.unlock)
        yield stack


@asynccontextmanager
async def open_manager() -> AsyncIterator[Client]:
    """Interface 1, as a command opens it."""
    device = await trio.to_thread.run_sync(choose, None)
    async with open_client(device, INTERFACE_MANAGE) as client:
        yield client


@asynccontextmanager
async def open_session() -> AsyncIterator[PersistentSession]:
    """The session of `tezsign run`, once it is up."""
    session = PersistentSession(None, INTERFACE_SIGN)
    async with trio.open_nursery() as nursery:
        await nursery.start(session.run)
        with trio.fail_after(_SESSION_S):
            await session.wait_up()
        yield session
        nursery.cancel_scope.cancel()
