"""The bytes of a key's marks: the body, and the sealed block that one slot file holds. Pure.

Owns both layouts and the choice between two slots. Never touches a file or a clock; nonces come
in. Called by `mark_store` (blocks) and `keystore_record` (bodies, in tombstones). The tables are
those of docs/on-disk.md; all integers are little-endian.
"""

from dataclasses import dataclass
from struct import Struct
from struct import error as StructError  # noqa: N812 - it is a class
from typing import Final, final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from gadget.keychain.envelope import NONCE_BYTES, TAG_BYTES
from gadget.keychain.errors import WatermarkUnusable
from gadget.keychain.marks import CHAINS_LIMIT, ChainMarks, Mark, Marks
from gadget.keychain.secret import Secret

__all__ = [
    "BLOCK_BYTES",
    "SLOTS",
    "BadMarks",
    "MarkSealer",
    "StoredMarks",
    "choose_newest",
    "decode_marks",
    "encode_marks",
    "looks_whole",
]

BLOCK_BYTES: Final = 4096
SLOTS: Final = (0, 1)

# Body:
#   offset 0  size 4  last level of a retired key, int32; -1: not retired
#          4       1  0x01: a bound chain follows; 0x00: none
#          5       4  bound chain id; zeros where none
#          9       1  number of chains n, 0 to 16
#         10       1  0x01: marks of chains that are not listed were lost; 0x00: there were none
#         11       1  zero
#         12   n*135  chains
_BODY: Final = Struct("<iB4sBBx")
# Chain, 135 bytes:
#   offset 0  size 4  chain id
#          4       4  highest level of any kind signed, int32; -1: none
#          8   3*41   marks of block, preattestation, attestation
#        131       4  zero
_CHAIN: Final = Struct("<4si123s4x")
# Mark, 41 bytes:
#   offset 0  size 4  level, int32
#          4       4  round, int32
#          8       1  flags: 0x01 there is a mark, 0x02 the same payload may be signed again
#          9      32  BLAKE2b-256 of the payload
# Without flag 0x01 all of it is zero.
_MARK: Final = Struct("<iiB32s")
_NO_MARK: Final = bytes(_MARK.size)
_IS_SET: Final = 0x01
_MAY_RESIGN: Final = 0x02

# Block, 4096 bytes:
#   offset 0  size 8  magic "TZSMARKS"
#          8       2  format version, 1
#         10       1  slot, 0 or 1
#         11       1  zero
#         12       4  size of the sealed body n, with its tag
#         16       8  sequence number
#         24      12  nonce
#         36       n  body, sealed by AES-256-GCM; context: the key's, then bytes 0 to 23
#       36+n          zero; not looked at, so that a flipped bit there costs nothing
_HEADER: Final = Struct("<8sHBxIQ")
_MAGIC: Final = b"TZSMARKS"
_VERSION: Final = 1
_SEALED_AT: Final = _HEADER.size + NONCE_BYTES


class BadMarks(ValueError):
    """Bytes that are not marks, or a block that is not whole. Never leaves the package."""


def looks_whole(slot: int, block: bytes) -> bool:
    """Says whether it has a block's size and header; what is sealed in it may be spoilt."""
    if len(block) != BLOCK_BYTES:
        return False
    magic, version, found_slot, *_ = _HEADER.unpack_from(block)
    return (magic, version, found_slot) == (_MAGIC, _VERSION, slot)


def encode_marks(marks: Marks) -> bytes:
    head = _BODY.pack(
        -1 if marks.last_level is None else marks.last_level,
        marks.bound_chain is not None,
        marks.bound_chain or b"",
        len(marks.chains),
        marks.are_partial,
    )
    return head + b"".join([_encode_chain(chain) for chain in marks.chains])


def _encode_chain(chain: ChainMarks) -> bytes:
    return _CHAIN.pack(
        chain.chain_id,
        -1 if chain.signed_level is None else chain.signed_level,
        _encode_mark(chain.block)
        + _encode_mark(chain.preattestation)
        + _encode_mark(chain.attestation),
    )


def _encode_mark(mark: Mark | None) -> bytes:
    if mark is None:
        return _NO_MARK
    flags = _IS_SET | _MAY_RESIGN if mark.may_resign else _IS_SET
    return _MARK.pack(mark.level, mark.round, flags, mark.payload_hash)


def decode_marks(body: bytes) -> Marks:
    """Raises: BadMarks: not exactly what `encode_marks` makes of some marks."""
    try:
        last_level, is_bound, bound_chain, count, are_partial = _BODY.unpack_from(body)
        if count > CHAINS_LIMIT or len(body) != _BODY.size + count * _CHAIN.size:
            raise BadMarks("marks: wrong size")
        marks = Marks(
            chains=tuple(
                _decode_chain(*fields) for fields in _CHAIN.iter_unpack(body[_BODY.size :])
            ),
            last_level=None if last_level == -1 else last_level,
            bound_chain=bound_chain if is_bound else None,
            are_partial=bool(are_partial),
        )
    except (ValueError, StructError) as error:
        raise BadMarks(str(error)) from error
    if encode_marks(marks) != body:
        raise BadMarks("marks: not in the one form that is written")
    return marks


def _decode_chain(chain_id: bytes, signed_level: int, raw_marks: bytes) -> ChainMarks:
    block, preattestation, attestation = (_decode_mark(*f) for f in _MARK.iter_unpack(raw_marks))
    return ChainMarks(
        chain_id=chain_id,
        signed_level=None if signed_level == -1 else signed_level,
        block=block,
        preattestation=preattestation,
        attestation=attestation,
    )


def _decode_mark(level: int, round_: int, flags: int, payload_hash: bytes) -> Mark | None:
    if not flags & _IS_SET:
        return None
    return Mark(
        level=level, round=round_, payload_hash=payload_hash, may_resign=bool(flags & _MAY_RESIGN)
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredMarks:
    """What one whole slot says."""

    sequence: int
    marks: Marks


@final
class MarkSealer:
    """Makes and opens the blocks of one key.

    Args:
        key: the key's subkey for marks; the cipher keeps a copy of it until it is dropped.
        context: what the blocks are bound to, without slot, version and sequence number.
    """

    __slots__ = ("_cipher", "_context")

    def __init__(self, key: Secret, context: bytes) -> None:
        self._cipher = AESGCM(key.reveal())
        self._context = context

    def encode_block(self, slot: int, sequence: int, body: bytes, nonce: bytes) -> bytes:
        """Args: body: from `encode_marks`, so that both slots share it. nonce: 12 random bytes."""
        header = _HEADER.pack(_MAGIC, _VERSION, slot, len(body) + TAG_BYTES, sequence)
        sealed = self._cipher.encrypt(nonce, body, self._context + header)
        return (header + nonce + sealed).ljust(BLOCK_BYTES, b"\0")

    def decode_block(self, slot: int, block: bytes) -> StoredMarks:
        """Raises: BadMarks: not a whole block of this key for this slot."""
        if len(block) != BLOCK_BYTES:
            raise BadMarks(f"slot: expected {BLOCK_BYTES} bytes, found {len(block)}")
        magic, version, found_slot, size, sequence = _HEADER.unpack_from(block)
        if (magic, version, found_slot) != (_MAGIC, _VERSION, slot):
            raise BadMarks("slot: wrong magic, version or slot number")
        end = _SEALED_AT + size
        if end > BLOCK_BYTES:
            raise BadMarks("slot: wrong size")
        try:
            body = self._cipher.decrypt(
                block[_HEADER.size : _SEALED_AT],
                block[_SEALED_AT:end],
                self._context + block[: _HEADER.size],
            )
        except InvalidTag:
            raise BadMarks("slot: does not open") from None
        return StoredMarks(sequence=sequence, marks=decode_marks(body))


def choose_newest(found: tuple[StoredMarks | None, StoredMarks | None]) -> StoredMarks:
    """Args: found: what each slot says, None where it is not whole.

    Raises:
        WatermarkUnusable: no slot is whole, or they contradict each other. Never assume zero.
    """
    first, second = found
    if first is None or second is None:
        newest = first or second
        if newest is None:
            raise WatermarkUnusable("both copies of this key's marks are damaged or missing")
        return newest
    if first.sequence == second.sequence and first.marks != second.marks:
        raise WatermarkUnusable("the two copies of this key's marks contradict each other")
    return first if first.sequence >= second.sequence else second
