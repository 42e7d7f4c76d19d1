"""What moves a baker from one board to another without signing twice: levels, chains, retirement.

Owns the order of these changes: marks first, then the record of the keys. What may become of marks
is decided in `mark_changes`; passphrases are the keyring's. Called by `gadget.rpc`, as
`keyring.failover`. Source: docs/failover.md.
"""

import logging
from collections.abc import Iterator, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from typing import Final, Protocol, final

import trio

from broker.messages import KeyOutcome, KeyStatus
from gadget.keychain.changes import KeystoreChanges
from gadget.keychain.errors import (
    ChangeRefused,
    KeychainError,
    KeyNotFound,
    KeyRetired,
    Operation,
    WatermarkUnusable,
    during,
)
from gadget.keychain.key import Key
from gadget.keychain.mark_changes import (
    check_plausible,
    lost_marks,
    merge_marks,
    retire_marks,
    set_level,
)
from gadget.keychain.marks import Marks
from gadget.keychain.secret import Secret
from tezos.consensus import Kind
from tezos.keys import encode_chain_id

__all__ = ["Failover", "KeyChanging", "chain_of"]

logger = logging.getLogger(__name__)

_TEXT_LIMIT: Final = 500  # of an outcome's message


class KeyChanging(Protocol):
    """What `Keyring` offers to those that change keys."""

    def changing(
        self, operation: Operation, passphrase: Secret
    ) -> AbstractAsyncContextManager[Secret]: ...

    def named(self, key_id: str) -> Key: ...


@final
class Failover:
    """Every method raises KeychainError where nothing was changed, or not all of it."""

    def __init__(self, keyring: KeyChanging, changes: KeystoreChanges) -> None:
        self._keyring = keyring
        self._changes = changes

    async def set_level(
        self, passphrase: Secret, key_id: str, chain_id: bytes | None, level: int
    ) -> KeyStatus:
        """Uses up `level` and all below it; brings a key back whose marks were lost.

        Args:
            chain_id: None: the one that the key signs on.
        """
        async with self._keyring.changing(Operation.SET_LEVEL, passphrase) as kek:
            key = self._keyring.named(key_id)
            try:
                await key.change_marks(
                    kek, lambda marks: set_level(marks, chain_id or chain_of(key, marks), level)
                )
            except WatermarkUnusable:
                chain = chain_id or chain_of(key, Marks())
                await key.renew_marks(kek, lost_marks(chain, level, key.entry.last_level))
                logger.warning("lost marks replaced", extra={"key": key.address, "level": level})
            logger.info("level set", extra={"key": key.address, "level": level})
            return key.status()

    async def set_chain(self, passphrase: Secret, key_id: str, chain_id: bytes) -> KeyStatus:
        """Binds the key to another chain.

        A retired key stays where it is: its last level is one of the chain that it was retired on,
        and whoever took over has used up that chain only.
        """

        def check(marks: Marks) -> Marks:
            if marks.last_level is not None:
                raise KeyRetired(f"the key {key_id} is retired and stays on its chain")
            return marks

        async with self._keyring.changing(Operation.SET_CHAIN, passphrase) as kek:
            key = self._keyring.named(key_id)
            await key.change_marks(kek, check)
            await self._replace_entry(key, chain_id=chain_id)
            logger.info("chain set", extra={"key": key.address, "chain": encode_chain_id(chain_id)})
            return key.status()

    async def retire(self, passphrase: Secret, key_id: str, last_level: int) -> KeyStatus:
        """Lets the key sign nothing above `last_level` any more."""
        async with self._keyring.changing(Operation.RETIRE, passphrase) as kek:
            key = self._keyring.named(key_id)

            def retire(marks: Marks) -> Marks:
                chain_of(key, marks)
                return retire_marks(marks, last_level)

            await key.change_marks(kek, retire)
            await self._replace_entry(key, last_level=last_level)
            logger.info("key retired", extra={"key": key.address, "level": last_level})
            return key.status()

    def export_marks(self, key_id: str) -> tuple[Key, Marks]:
        """Returns an unlocked key and all its marks."""
        key = self._keyring.named(key_id)
        return key, key.marks

    async def import_marks(
        self, passphrase: Secret, marks_of: Sequence[tuple[str, str, Marks]]
    ) -> tuple[KeyOutcome, ...]:
        """Raises marks to those of another board; they give no right to sign again.

        Args:
            marks_of: id, address and marks; each with an outcome of its own.
        """
        async with self._keyring.changing(Operation.IMPORT_MARKS, passphrase) as kek:
            return tuple([await self._import_marks(kek, *one) for one in marks_of])

    async def _import_marks(
        self, kek: Secret, key_id: str, address: str, others: Marks
    ) -> KeyOutcome:
        try:
            with during(Operation.IMPORT_MARKS):
                message = await self._merge_marks(kek, key_id, address, others)
        except KeychainError as error:
            return KeyOutcome(id=key_id, code=int(error.code), message=str(error))
        return KeyOutcome(id=key_id, code=0, message=message)

    async def _merge_marks(self, kek: Secret, key_id: str, address: str, others: Marks) -> str:
        key = self._keyring.named(key_id)
        if key.address != address:
            raise KeyNotFound(f"the key {key_id} has another address than these marks")
        raised: list[str] = []

        def merge(marks: Marks) -> Marks:
            check_plausible(marks, others)
            merged = merge_marks(marks, others)
            raised.extend(_describe_raised(marks, merged))
            return merged

        await key.change_marks(kek, merge)
        logger.info("marks merged", extra={"key": key.address, "raised": ", ".join(raised)})
        return f"raised: {', '.join(raised)}"[:_TEXT_LIMIT] if raised else "nothing was higher"

    async def _replace_entry(
        self, key: Key, *, chain_id: bytes | None = None, last_level: int | None = None
    ) -> None:
        """Changes what is not None."""
        entry = key.entry
        changed = replace(
            entry,
            chain_id=entry.chain_id if chain_id is None else chain_id,
            last_level=entry.last_level if last_level is None else last_level,
        )
        await trio.to_thread.run_sync(self._changes.replace_entry, changed)
        key.entry = changed


def chain_of(key: Key, marks: Marks) -> bytes:
    """Raises: ChangeRefused: the key takes the first chain that it is asked for, whichever."""
    chain = key.entry.chain_id or marks.bound_chain
    if chain is None:
        raise ChangeRefused(f"the key {key.entry.id} is bound to no chain yet: set its chain first")
    return chain


def _describe_raised(before: Marks, after: Marks) -> Iterator[str]:
    for chain in after.chains:
        for kind in Kind:
            mark, old = chain.of_kind(kind), before.on_chain(chain.chain_id).of_kind(kind)
            if mark is not None and mark != old:
                yield f"{encode_chain_id(chain.chain_id)} {kind.name.lower()} to {mark.level}"
