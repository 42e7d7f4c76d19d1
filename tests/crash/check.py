"""Opens a store that was found after a crash, with the keychain's own code, and judges it.

The rules are those of the first two promises; what was answered comes from `answered`. Called by
`replay` for each pair of a store and what had been answered by then.
"""

from pathlib import Path
from typing import Final, final

from broker.messages import KeyStatus
from gadget.aio import AioContext
from gadget.keychain.errors import BadPassphrase, KeychainError, NoKeys, Refused
from gadget.keychain.keyring import Keyring
from gadget.keychain.secret import Secret
from gadget.keychain.throttle import WINDOW_MS
from tests.crash.answered import NO_PLACE, Answered, KeyAnswers, Place, Presence, Votes
from tests.crash.store import open_store
from tests.crash.world import build_payload
from tezos.keys import KeyType, parse_chain_id

__all__ = ["Violation", "check_store", "check_unusable"]

_WRONG_PASSPHRASE: Final = "not the passphrase"
_PROBE: Final = "probe"
_HASH_AT: Final = -20  # within the payload hash, in each kind of payload


class Violation(AssertionError):
    """A promise is broken."""


@final
class _Clock:
    """A boot of its own; time goes on by hand."""

    def __init__(self) -> None:
        self.ms = 1_000_000

    def boot_id(self) -> bytes:
        return b"\xb0" * 16

    def now_ms(self) -> int:
        return self.ms


def _demand(condition: bool, message: str) -> None:
    if not condition:
        raise Violation(message)


async def check_store(folder: Path, aio: AioContext, answered: Answered) -> None:
    """Raises: Violation. Leaves the store with one more key and some more signatures."""
    clock = _Clock()
    with open_store(folder, aio, clock) as keyring:
        try:
            is_made = keyring.is_initialised
        except KeychainError as error:
            raise Violation(f"the keystore does not open: {error}") from error
        _demand(is_made or not answered.is_made, "the keystore is gone")
        if not is_made:
            return
        _demand(bool(answered.passphrases), "a keystore came from nowhere")
        _check_presence(keyring.status(), answered)
        await _check_passphrases(keyring, answered, clock)
        for status in keyring.status():
            if status.id != _PROBE:
                await _check_key(keyring, status, answered.keys[status.id])


async def check_unusable(folder: Path, aio: AioContext, answered: Answered, key_id: str) -> None:
    """With both slots of a key destroyed. Raises: Violation if it signs all the same."""
    clock = _Clock()
    with open_store(folder, aio, clock) as keyring:
        outcomes: dict[str, int] = {}
        for passphrase in answered.passphrases:
            clock.ms += WINDOW_MS
            try:
                with Secret(passphrase.encode()) as secret:
                    outcomes |= {o.id: o.code for o in await keyring.unlock(secret, ())}
            except BadPassphrase:
                continue
        _demand(outcomes[key_id] != 0, f"{key_id}: marks came from nowhere")


def _check_presence(found: tuple[KeyStatus, ...], answered: Answered) -> None:
    addresses = {status.id: status.pkh for status in found}
    for key_id, key in answered.keys.items():
        if key.presence is Presence.CERTAIN:
            _demand(key_id in addresses, f"{key_id} is gone")
        if key.presence is Presence.GONE:
            _demand(key_id not in addresses, f"{key_id} was deleted and is back")
        if key.address is not None and key_id in addresses:
            _demand(addresses[key_id] == key.address, f"{key_id} is another key")
    unknown = addresses.keys() - answered.keys.keys()
    _demand(not unknown, f"keys came from nowhere: {unknown}")


async def _check_passphrases(keyring: Keyring, answered: Answered, clock: _Clock) -> None:
    right = []
    former = answered.former_passphrases[-2:]
    for passphrase in (_WRONG_PASSPHRASE, *former, *sorted(answered.passphrases)):
        clock.ms += WINDOW_MS
        if await _opens(keyring, passphrase):
            right.append(passphrase)
    _demand(len(right) == 1, f"{len(right)} passphrases open the store")
    _demand(right[0] in answered.passphrases, "the passphrase is one that was replaced")
    clock.ms += WINDOW_MS
    with Secret(right[0].encode()) as secret:
        made = await keyring.new(secret, _PROBE, KeyType.TZ1, None)
    addresses = {key.address for key in answered.keys.values()}
    _demand(made.pkh not in addresses, "a key was made a second time")


async def _opens(keyring: Keyring, passphrase: str) -> bool:
    try:
        with Secret(passphrase.encode()) as secret:
            outcomes = await keyring.unlock(secret, ())
    except BadPassphrase:
        return False
    except NoKeys:
        return await _makes_a_key(keyring, passphrase)
    for outcome in outcomes:
        _demand((outcome.code, outcome.message) == (0, ""), f"{outcome.id}: {outcome.message}")
    return True


async def _makes_a_key(keyring: Keyring, passphrase: str) -> bool:
    try:
        with Secret(passphrase.encode()) as secret:
            await keyring.new(secret, "passphrase-probe", KeyType.TZ1, None)
            await keyring.delete(secret, "passphrase-probe")
    except BadPassphrase:
        return False
    return True


async def _check_key(keyring: Keyring, status: KeyStatus, key: KeyAnswers) -> None:
    _demand(status.lock_state == "unlocked", f"{status.id} is {status.lock_state}")
    _demand(status.marks is not None, f"{status.id} has no marks")
    _demand(status.chain_id in key.chains, f"lost the chain of {status.id}: {status.chain_id}")
    _demand(
        status.last_level in key.last_levels, f"lost the end of {status.id}: {status.last_level}"
    )
    for (chain, kind), votes in key.votes.items():
        if chain != status.chain_id:
            continue
        found = getattr(status.marks, kind)
        mark = NO_PLACE if found is None else (found.level, found.round)
        where = f"{status.id} {kind}: the mark is {mark}, {votes.highest} was answered"
        _demand(mark >= votes.highest, f"lost a mark: {where}")
        _demand(mark <= votes.begun, f"a mark came from nowhere: {where}, {votes.begun} begun")
        await _Probe(keyring, status, kind, votes).run(mark)


class _Probe:
    """Asks one key for signatures that it must refuse, must repeat and must give."""

    def __init__(self, keyring: Keyring, status: KeyStatus, kind: str, votes: Votes) -> None:
        self._keyring = keyring
        self._status = status
        self._kind = kind
        self._votes = votes
        self._where = f"{status.id} {kind}"

    async def run(self, mark: Place) -> None:
        for place in sorted(self._votes.signed)[-3:]:
            payload, signature = self._votes.signed[place]
            other = bytearray(payload)
            other[_HASH_AT] ^= 0xFF
            given = await self._sign(bytes(other))
            _demand(given is None, f"signed two payloads: {self._where} at {place}")
            given = await self._sign(payload)
            _demand(given in (None, signature), f"another signature: {self._where} at {place}")
            if place == mark > self._votes.raise_begun:
                _demand(given is not None, f"refused to repeat an answer: {self._where} {place}")
        if mark != NO_PLACE:
            free = (mark[0] + 1, 0)
            given = await self._sign(self._build(free))
            last = self._status.last_level
            is_free = last is None or free[0] <= last
            _demand((given is not None) == is_free, f"not as it is free: {self._where} at {free}")

    def _build(self, place: Place) -> bytes:
        chain_id = parse_chain_id(str(self._status.chain_id))
        return build_payload(self._status.type, self._kind, place, 2, chain_id)

    async def _sign(self, payload: bytes) -> bytes | None:
        try:
            return await self._keyring.sign(self._status.pkh, payload)
        except Refused:
            return None
        except KeychainError as error:
            raise Violation(f"could not sign: {self._where}: {error}") from error
