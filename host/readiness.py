"""Whether every served key can sign now, for `/statusz`.

Asks the board for its keys, at most once a second however many ask, and looks at what the witness
says. Called by `host.metrics_api`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Protocol

import trio

from broker.messages import KeyStatus
from host.errors import HostError
from host.key_directory import KeyDirectory
from host.output import JsonValue

__all__ = ["Readiness", "ReadyBoard", "ReadyKey", "ReadyState"]

_ANSWER_S: Final = 3.0
_FRESH_S: Final = 1.0


class ReadyBoard(Protocol):
    @property
    def problem(self) -> HostError | None: ...
    @property
    def rolled_back(self) -> Mapping[str, str]: ...
    async def status(self) -> tuple[KeyStatus, ...]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadyKey:
    """`problem` is empty where the key can sign."""

    id: str
    pkh: str
    problem: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadyState:
    """`problem`: why nothing can be signed at all, or empty."""

    problem: str
    keys: tuple[ReadyKey, ...]

    @property
    def is_ready(self) -> bool:
        return not self.problem and bool(self.keys) and not any(key.problem for key in self.keys)

    def describe(self) -> dict[str, JsonValue]:
        problem = self.problem or ("" if self.keys else "no key is served")
        return {
            "ready": self.is_ready,
            "problem": problem or None,
            "keys": [
                {
                    "id": key.id,
                    "pkh": key.pkh,
                    "ready": not key.problem,
                    "problem": key.problem or None,
                }
                for key in self.keys
            ],
        }


class Readiness:
    """One per `tezsign run`."""

    def __init__(self, board: ReadyBoard, directory: KeyDirectory) -> None:
        self._board = board
        self._directory = directory
        self._asking = trio.Lock()
        self._last: ReadyState | None = None
        self._last_s = 0.0

    async def look(self) -> ReadyState:
        """Returns within some seconds, whatever the board does."""
        async with self._asking:
            if self._last is None or trio.current_time() - self._last_s >= _FRESH_S:
                self._last = await self._ask()
                self._last_s = trio.current_time()
            return self._last

    async def _ask(self) -> ReadyState:
        problem = self._board.problem
        if problem is not None:
            return self._away(str(problem))
        try:
            with trio.fail_after(_ANSWER_S):
                listed = await self._board.status()
        except HostError as error:
            return self._away(str(error))
        except trio.TooSlowError:
            return self._away(f"the board did not answer within {_ANSWER_S:g} s")
        missing = self._directory.load(listed)
        problems = {key.pkh: self._problem(key) for key in listed}
        keys = [
            ReadyKey(id=key.alias, pkh=key.address, problem=problems[key.address])
            for key in self._directory.keys
        ]
        keys += [ReadyKey(id=name, pkh="", problem="is not on the board") for name in missing]
        return ReadyState(problem="", keys=tuple(keys))

    def _problem(self, key: KeyStatus) -> str:
        if key.lock_state != "unlocked":
            return f"is {key.lock_state}"
        return self._board.rolled_back.get(key.pkh, "")

    def _away(self, problem: str) -> ReadyState:
        keys = tuple(
            ReadyKey(id=key.alias, pkh=key.address, problem="the board is away")
            for key in self._directory.keys
        )
        return ReadyState(problem=problem, keys=keys)
