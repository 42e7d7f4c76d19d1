"""The gadget daemon with one promise broken on purpose: tests of the end-to-end test.

`python -m tests.kernel.mutants NAME` runs it. Never part of the product: it patches what the daemon
has loaded, from outside.
"""

import sys
from collections.abc import Callable
from typing import Final

import gadget.keychain.key
from gadget.__main__ import main
from gadget.keychain.durable import PendingWrite
from gadget.keychain.mark_store import MarkStore
from gadget.keychain.marks import Advance, Marks, decide
from tezos.consensus import ConsensusPayload, Kind, parse_payload
from tezos.errors import BadPayload
from tezos.keys import KeyType

__all__ = ["MUTANTS"]


def _switch_marks_off() -> None:
    """Every payload is compared with the marks of a key that has signed nothing."""

    def decide_fresh(
        _marks: Marks, payload: ConsensusPayload, digest: bytes, chain_id: bytes | None
    ) -> object:
        decision = decide(Marks(), payload, digest, chain_id)
        assert isinstance(decision, Advance)
        return decision

    setattr(gadget.keychain.key, "decide", decide_fresh)  # noqa: B010 - mypy guards plain ones


def _leave_write_unawaited() -> None:
    """The signature goes out while the write is still in the kernel."""

    def finish_nowait(store: MarkStore, _pending: PendingWrite, marks: Marks) -> bool:
        store.marks = marks
        store.is_confirmed = True
        return True

    setattr(MarkStore, "finish_nowait", finish_nowait)  # noqa: B010


def _drop_payload_check() -> None:
    """What is no allowed form is read as an attestation of a far level."""

    def parse_anything(payload: bytes, key_type: KeyType) -> ConsensusPayload:
        try:
            return parse_payload(payload, key_type)
        except BadPayload:
            return ConsensusPayload(
                kind=Kind.ATTESTATION, chain_id=payload[1:5], level=12_000_150, round=0
            )

    setattr(gadget.keychain.key, "parse_payload", parse_anything)  # noqa: B010


MUTANTS: Final[dict[str, Callable[[], None]]] = {
    "marks-off": _switch_marks_off,
    "write-not-awaited": _leave_write_unawaited,
    "payload-unchecked": _drop_payload_check,
}


if __name__ == "__main__":
    MUTANTS[sys.argv[1]]()
    sys.exit(main())
