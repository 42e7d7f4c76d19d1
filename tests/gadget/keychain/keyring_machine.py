"""The keyring against a ten-line model, on a disk that fails, loses, tears and dies at any call.

The model knows what was answered, nothing of how. `test_keyring_machine.py` runs it on the real
keyring, `test_mutants.py` on broken ones, which it must catch.
"""

from collections.abc import Awaitable, Callable
from random import Random

import trio
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from gadget.keychain.errors import KeychainError, WatermarkUnusable
from gadget.keychain.mark_changes import LAST_ROUND
from gadget.keychain.throttle import WINDOW_MS
from tests import payloads
from tests.fakes.disk import Fault, Killed, PowerCut
from tests.gadget.keychain.board import Board, passphrase

__all__ = ["KeyringMachine"]

_BUILDERS = {
    "preattestation": lambda *place, **content: payloads.preattestation("tz1", *place, **content),
    "attestation": lambda *place, **content: payloads.attestation("tz1", *place, **content),
    "block": payloads.block,
}
_FAULTS = st.none() | st.tuples(st.integers(0, 5), st.sampled_from(Fault))
_CHANGE_FAULTS = st.none() | st.tuples(st.integers(0, 24), st.sampled_from(Fault))
# Kind, levels above the highest that was tried, round, variant of the content.
_REQUESTS = st.tuples(
    st.sampled_from(sorted(_BUILDERS)),
    st.sampled_from((1, 1, 0, -1)),
    st.integers(0, 1),
    st.integers(0, 1),
)
_JUNK = st.binary(min_size=1, max_size=3).filter(lambda junk: junk[0] not in (0x11, 0x12, 0x13))
_Request = tuple[str, int, int, int]
_Place = tuple[str, int, int]


class _Model:
    """What was answered."""

    def __init__(self) -> None:
        self.signed: dict[tuple[str, _Place], bytes] = {}  # by key and place
        self.highest: dict[tuple[str, str], tuple[int, int]] = {}  # released, by key and kind
        self.possible: dict[tuple[str, str], tuple[int, int]] = {}  # released or not

    def attempt(self, key_id: str, place: _Place) -> None:
        which = (key_id, place[0])
        self.possible[which] = max(place[1:], self.possible.get(which, (-1, -1)))

    def answer(self, key_id: str, place: _Place, payload: bytes) -> None:
        assert self.signed.setdefault((key_id, place), payload) == payload, "signed two payloads"
        which = (key_id, place[0])
        assert place[1:] >= self.highest.get(which, (-1, -1)), "signed below a released mark"
        self.highest[which] = place[1:]


class KeyringMachine(RuleBasedStateMachine):
    """Keys k0, k1, …; k0 only has to stay, the last one is in use."""

    @initialize(journals_data=st.booleans(), seed=st.integers(0, 2**16))
    def start(self, journals_data: bool, seed: int) -> None:
        self.board = Board(journals_data=journals_data, seed=seed)
        self.random = Random(seed)  # noqa: S311
        self.model = _Model()
        self.answered: list[str] = []  # keys that were answered and not asked to go
        self.count = 0
        self.key_id = ""

        async def init() -> None:
            with passphrase() as secret:
                await self.board.keyring.init(secret, deterministic=False)

        self._run(init)
        self._new_key()
        self._new_key()

    @rule(request=_REQUESTS, fault=_FAULTS)
    def sign(self, request: _Request, fault: tuple[int, Fault] | None) -> None:
        request = self._at_level(request)
        is_free = self._is_free(request)
        self._arm(fault)
        signed = self._run(lambda: self._sign(request))
        assert signed is not False or fault is not None or not is_free, "refused what is free"

    @rule(request=_REQUESTS, fault=_FAULTS)
    def sign_and_cut_power(self, request: _Request, fault: tuple[int, Fault] | None) -> None:
        self.sign(request, fault)
        self.cut_power(None)

    @rule(requests=st.lists(_REQUESTS, min_size=2, max_size=4), fault=_FAULTS)
    def sign_at_once(self, requests: list[_Request], fault: tuple[int, Fault] | None) -> None:
        self._arm(fault)
        requests = [self._at_level(request) for request in requests]

        async def sign_all() -> None:
            end: PowerCut | Killed | None = None

            async def sign_one(request: _Request) -> None:
                nonlocal end
                try:
                    await self._sign(request)
                except (PowerCut, Killed) as error:
                    end = error

            async with trio.open_nursery() as nursery:
                for request in requests:
                    nursery.start_soon(sign_one, request)
            if end is not None:
                raise end

        self._run(sign_all)

    @rule(request=_REQUESTS, junk=_JUNK)
    def sign_malformed(self, request: _Request, junk: bytes) -> None:
        payload = _build(*self._at_level(request))

        async def sign() -> None:
            for malformed in (payload + junk, payload[:-1], junk + payload):
                try:
                    await self.board.sign(malformed, self.key_id)
                except KeychainError:
                    continue
                raise AssertionError("signed what is no payload")

        self._run(sign)

    @rule(slot=st.integers(0, 1), how=st.sampled_from((None, b"", bytes(4096), b"x" * 100)),
          fault=_CHANGE_FAULTS)  # fmt: skip
    def destroy_one_slot(
        self, slot: int, how: bytes | None, fault: tuple[int, Fault] | None
    ) -> None:
        self.lock_and_unlock()  # after a failed write one slot is damaged already
        self._damage((slot,), how)
        self._restart(fault)

    @rule(how=st.sampled_from((None, b"", bytes(4096))))
    def destroy_both_slots(self, how: bytes | None) -> None:
        self._damage((0, 1), how)
        self.board.restart()

        async def check() -> None:
            outcomes = {outcome.id: outcome.code for outcome in await self.board.unlock()}
            code = outcomes[self.key_id]
            assert code == WatermarkUnusable.default_code, "marks came from nowhere"
            assert self.board.status(self.key_id).lock_state == "unusable"

        self._run(check)
        self._new_key()

    @rule(fault=_CHANGE_FAULTS)
    def kill(self, fault: tuple[int, Fault] | None) -> None:
        self._restart(fault)

    @rule(fault=_CHANGE_FAULTS)
    def cut_power(self, fault: tuple[int, Fault] | None) -> None:
        self.board.cut_power()
        self._arm(fault)
        self._recover()

    @rule()
    def lock_and_unlock(self) -> None:
        self._run(lambda: self.board.keyring.lock(()))
        self._recover()

    @rule(fault=_CHANGE_FAULTS)
    def make_key(self, fault: tuple[int, Fault] | None) -> None:
        self._arm(fault)
        self._new_key()

    @rule(fault=_CHANGE_FAULTS)
    def delete_key(self, fault: tuple[int, Fault] | None) -> None:
        self.answered.remove(self.key_id)
        self._arm(fault)
        self._run(lambda: self.board.delete(self.key_id))
        self._new_key()

    @rule(above=st.integers(0, 3), fault=_CHANGE_FAULTS)
    def set_level(self, above: int, fault: tuple[int, Fault] | None) -> None:
        places = [self.model.possible.get((self.key_id, kind), (10, 0)) for kind in _BUILDERS]
        level = max(places)[0] + above
        for kind in _BUILDERS:
            self.model.attempt(self.key_id, (kind, level, LAST_ROUND))
        self._arm(fault)

        async def set_level() -> object:
            with passphrase() as secret:
                failover = self.board.keyring.failover
                return await failover.set_level(secret, self.key_id, None, level)

        is_set = self._run(set_level) is not None
        assert is_set or fault is not None, "refused to raise a mark"
        for kind in _BUILDERS if is_set else ():
            self.model.highest[self.key_id, kind] = (level, LAST_ROUND)

    @rule(request=_REQUESTS)
    def fill_disk(self, request: _Request) -> None:
        """Nothing can be made; what is there signs, and opens after a restart."""
        self.lock_and_unlock()  # after a failed write one slot is damaged already
        self.board.disk.is_full = True
        self.sign(request, None)
        assert self._run(lambda: self.board.new("too-much")) is None, "made a key of nothing"
        self.board.restart()
        self._recover()
        assert all(key.id != "too-much" for key in self.board.keyring.status())
        self.board.disk.is_full = False

    # Steps.

    def _run(self, step: Callable[[], Awaitable[object]]) -> object:
        """Returns what the step returns, None where it was refused or the power went."""

        async def run() -> object:
            return await step()

        try:
            result = trio.run(run)
        except KeychainError:
            return None
        except PowerCut:
            self.board.cut_power()
        except Killed:
            self.board.restart()
        else:
            return result
        finally:
            self.board.disk.fail_never()
        self._recover()
        return None

    def _arm(self, fault: tuple[int, Fault] | None) -> None:
        if fault is not None:
            self.board.disk.fail_at(*fault)

    def _at_level(self, request: _Request) -> _Request:
        kind, above, round_, variant = request
        highest, _ = self.model.possible.get((self.key_id, kind), (10, 0))
        return kind, highest + above, round_, variant

    async def _sign(self, request: _Request) -> bool:
        kind, level, round_, variant = request
        payload = _build(kind, level, round_, variant)
        self.model.attempt(self.key_id, (kind, level, round_))
        try:
            signature = await self.board.sign(payload, self.key_id)
        except KeychainError:
            return False
        assert self.board.verifies(signature, payload, self.key_id)
        self.model.answer(self.key_id, (kind, level, round_), payload)
        return True

    def _is_free(self, request: _Request) -> bool:
        """Whether the signature may not be refused."""
        kind, *place = request[:3]
        which = (self.key_id, kind)
        possible = self.model.possible.get(which, (-1, -1))
        if tuple(place) > possible:
            return True
        payload = _build(*request)
        return (
            tuple(place) == possible == self.model.highest.get(which)
            and self.model.signed[self.key_id, (kind, place[0], place[1])] == payload
        )

    def _damage(self, slots: tuple[int, ...], how: bytes | None) -> None:
        address = self.board.status(self.key_id).pkh
        for slot in slots:
            self.board.disk.damage(f"marks/{address}.{slot}", how)

    def _restart(self, fault: tuple[int, Fault] | None) -> None:
        self.board.restart()
        self._arm(fault)
        self._recover()

    def _recover(self) -> None:
        """Unlocks, with whatever fault is armed, then without; nothing answered may be missing."""
        self._run(self.board.unlock)
        # A power cut may have spoilt the count of tries, which then counts as full.
        self.board.clock.ms += WINDOW_MS
        trio.run(self._check_all)

    async def _check_all(self) -> None:
        outcomes = {outcome.id: outcome for outcome in await self.board.unlock()}
        for key_id in self.answered:
            assert key_id in outcomes, f"lost {key_id}"
        if self.key_id not in self.answered:  # its deletion was asked for, and may have happened
            return
        assert outcomes[self.key_id].code == 0, (
            f"not usable after recovery: {outcomes[self.key_id]}"
        )
        marks = self.board.status(self.key_id).marks
        assert marks is not None
        for kind in _BUILDERS:
            mark = getattr(marks, kind)
            place = (-1, -1) if mark is None else (mark.level, mark.round)
            assert place >= self.model.highest.get((self.key_id, kind), (-1, -1)), "lost a mark"

    def _new_key(self) -> None:
        """Makes a key and takes it into use; after a fault once more, without one."""
        for _ in range(2):
            key_id = f"k{self.count}"
            self.count += 1
            if self._run(lambda key_id=key_id: self.board.new(key_id)) is not None:  # type: ignore[misc]
                self.answered.append(key_id)
                self.key_id = key_id
                break
        else:
            raise AssertionError("no key can be made")
        self._recover()


def _build(kind: str, level: int, round_: int, variant: int) -> bytes:
    return _BUILDERS[kind](level, round_, payload_hash=bytes([variant]) * 32)
