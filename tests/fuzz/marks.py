"""A key's marks: BadMarks, or exactly the bytes that are written; as a body and as a slot's block.

A seal keeps chance out of a block, so what does not begin like one is sealed as its body.
"""

from collections.abc import Iterator
from contextlib import suppress
from typing import Final

from gadget.keychain.errors import WatermarkUnusable
from gadget.keychain.mark_changes import set_level
from gadget.keychain.mark_record import (
    BLOCK_BYTES,
    SLOTS,
    BadMarks,
    MarkSealer,
    StoredMarks,
    choose_newest,
    decode_marks,
    encode_marks,
)
from gadget.keychain.marks import ChainMarks, Mark, Marks
from gadget.keychain.secret import Secret
from tezos.keys import MAINNET

__all__ = ["one_input", "seeds"]

_MAGIC: Final = b"TZSMARKS"
_SEALER: Final = MarkSealer(Secret(b"k" * 32), b"context")
_NONCE: Final = b"n" * 12
_BODY_LIMIT: Final = BLOCK_BYTES - 36 - 16
_SEQUENCE: Final = 7


def one_input(data: bytes) -> None:
    if data.startswith(_MAGIC):
        first, second = (_open(slot, data.ljust(BLOCK_BYTES, b"\0")) for slot in SLOTS)
        with suppress(WatermarkUnusable):
            assert choose_newest((first, second)) in (first, second)
        return
    marks = _read(data)
    if len(data) <= _BODY_LIMIT:
        opened = _open(0, _SEALER.encode_block(0, _SEQUENCE, data, _NONCE))
        stored = None if marks is None else StoredMarks(sequence=_SEQUENCE, marks=marks)
        assert opened == stored, "in a block as outside of one"


def _read(body: bytes) -> Marks | None:
    try:
        marks = decode_marks(body)
    except BadMarks:
        return None
    assert encode_marks(marks) == body
    return marks


def _open(slot: int, block: bytes) -> StoredMarks | None:
    try:
        stored = _SEALER.decode_block(slot, block)
    except BadMarks:
        return None
    body = encode_marks(stored.marks)
    written = _SEALER.encode_block(slot, stored.sequence, body, block[24:36])
    assert written[: 36 + len(body) + 16] == block[: 36 + len(body) + 16]
    return stored


def seeds() -> Iterator[bytes]:
    mark = Mark(level=7, round=1, payload_hash=b"h" * 32, may_resign=True)
    chain = ChainMarks(chain_id=MAINNET, signed_level=7, block=mark, attestation=mark)
    for marks in (
        Marks(),
        Marks(chains=(chain,), last_level=2**31 - 1, bound_chain=MAINNET),
        set_level(Marks(are_partial=True), b"abcd", 5),
        Marks(chains=tuple(ChainMarks(chain_id=bytes([n]) * 4, block=mark) for n in range(16))),
    ):
        body = encode_marks(marks)
        yield body
        for slot in SLOTS:
            yield _SEALER.encode_block(slot, _SEQUENCE, body, _NONCE).rstrip(b"\0")
