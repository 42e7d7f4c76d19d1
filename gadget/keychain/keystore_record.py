"""The bytes of the keystore: header and all keys in one record, so that every change is one write.

Owns the layout and its limits. Pure; never opens a seal or a file. Called by `gadget.keychain.
keystore`. The tables are those of docs/on-disk.md; integers of the header are little-endian.
"""

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from struct import Struct
from typing import Any, Final, TypeVar

import msgpack

from gadget.keychain.envelope import KEY_BYTES, SALT_BYTES, SEAL_BYTES, KdfParameters
from gadget.keychain.errors import KeystoreUnusable
from gadget.keychain.mark_record import decode_marks, encode_marks
from gadget.keychain.marks import Marks
from tezos.errors import TezosError
from tezos.keys import KeyType, PublicKey, address_type

__all__ = [
    "EXPORTABLE",
    "KEYS_LIMIT",
    "RECORD_LIMIT_BYTES",
    "TOMBSTONES_LIMIT",
    "KeyEntry",
    "KeystoreRecord",
    "Tombstone",
    "decode_record",
    "encode_record",
]

EXPORTABLE: Final = 0x01  # the flag of a key that may leave the board
KEYS_LIMIT: Final = 64
TOMBSTONES_LIMIT: Final = 256
RECORD_LIMIT_BYTES: Final = 1024 * 1024

# Header, 56 bytes:
#   offset 0  size 8  magic "TZSKEYS1"
#          8       2  format version, 1
#         10       2  zero
#         12       4  size of the body
#         16       8  sequence number
#         24      32  SHA-256 of bytes 0 to 23 and the body
# Then the body: one msgpack map, as `_to_map` writes it.
_HEADER: Final = Struct("<8sH2xIQ")
_MAGIC: Final = b"TZSKEYS1"
_VERSION: Final = 1
_DIGEST_BYTES: Final = 32
_BODY_AT: Final = _HEADER.size + _DIGEST_BYTES

T = TypeVar("T")

_KEY_ID: Final = re.compile(r"[a-z0-9_-]{1,64}\Z")
_SEALED_KEY_BYTES: Final = KEY_BYTES + SEAL_BYTES
_PROOF_BYTES: Final = 96
_INDEX_LIMIT: Final = 2**32


def _check(condition: bool, message: str) -> None:
    if not condition:
        raise ValueError(message)


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyEntry:
    """One key at rest.

    Args:
        proof: the proof of possession of a tz4 key; None for the other types.
        chain_id: the one chain it signs on; None: the first that it is asked to sign on.
        flags: 0 or EXPORTABLE; an unknown right is not ignored but refused.
        last_level: the last that a retired key may sign. Its marks say so too, and are what counts;
            this is what is left of it when they are lost.
    """

    id: str
    public_key: PublicKey
    proof: bytes | None
    chain_id: bytes | None
    wrapped_dek: bytes
    sealed_secret: bytes
    flags: int = 0
    last_level: int | None = None

    def __post_init__(self) -> None:
        _check(_KEY_ID.match(self.id) is not None, "a key id is 1 to 64 of a-z 0-9 _ -")
        proof_bytes = None if self.proof is None else len(self.proof)
        expected = _PROOF_BYTES if self.public_key.type is KeyType.TZ4 else None
        _check(proof_bytes == expected, "proof of possession: 96 bytes for tz4, none otherwise")
        _check(self.chain_id is None or len(self.chain_id) == 4, "chain id: expected 4 bytes")
        for sealed in (self.wrapped_dek, self.sealed_secret):
            _check(len(sealed) == _SEALED_KEY_BYTES, "sealed key: wrong size")
        _check(self.flags in (0, EXPORTABLE), "key flags: unknown")
        _check(
            self.last_level is None or 0 <= self.last_level < 2**31,
            "last level: expected 0 to 2**31-1",
        )

    @property
    def is_exportable(self) -> bool:
        return bool(self.flags & EXPORTABLE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tombstone:
    """What a deleted key leaves behind.

    Args:
        marks: None where they could not be read any more: that address never comes back.
    """

    address: str
    marks: Marks | None

    def __post_init__(self) -> None:
        address_type(self.address)


@dataclass(frozen=True, slots=True, kw_only=True)
class KeystoreRecord:
    """Everything that the passphrase protects, and what must outlive a key.

    Args:
        verifier: opens with the right passphrase only; holds nothing.
        sealed_seed: of deterministic mode; None otherwise.
        next_index: the first index that no deterministic key was ever made from.
        keys: in the order of their creation.
    """

    salt: bytes
    kdf: KdfParameters
    verifier: bytes
    sealed_seed: bytes | None
    next_index: int = 0
    keys: tuple[KeyEntry, ...] = ()
    tombstones: tuple[Tombstone, ...] = ()

    def __post_init__(self) -> None:
        _check(len(self.salt) == SALT_BYTES, f"salt: expected {SALT_BYTES} bytes")
        _check(len(self.verifier) == SEAL_BYTES, "verifier: wrong size")
        _check(
            self.sealed_seed is None or len(self.sealed_seed) == _SEALED_KEY_BYTES,
            "sealed seed: wrong size",
        )
        _check(0 <= self.next_index < _INDEX_LIMIT, "next index: out of range")
        _check(len(self.keys) <= KEYS_LIMIT, f"more than {KEYS_LIMIT} keys")
        _check(len(self.tombstones) <= TOMBSTONES_LIMIT, f"more than {TOMBSTONES_LIMIT} tombstones")
        _check(len({key.id for key in self.keys}) == len(self.keys), "a key id occurs twice")
        addresses = {key.public_key.data for key in self.keys}
        _check(len(addresses) == len(self.keys), "a key occurs twice")
        buried = {tombstone.address for tombstone in self.tombstones}
        _check(len(buried) == len(self.tombstones), "a tombstone occurs twice")

    def tombstone_of(self, address: str) -> Tombstone | None:
        return next((stone for stone in self.tombstones if stone.address == address), None)


def encode_record(record: KeystoreRecord, sequence: int) -> bytes:
    body: bytes = msgpack.packb(_to_map(record))
    header = _HEADER.pack(_MAGIC, _VERSION, len(body), sequence)
    return header + hashlib.sha256(header + body).digest() + body


def decode_record(data: bytes) -> tuple[int, KeystoreRecord]:
    """Returns the sequence number and the record.

    Raises:
        KeystoreUnusable: not exactly what `encode_record` makes of some record.
    """
    if not _BODY_AT <= len(data) <= RECORD_LIMIT_BYTES:
        raise KeystoreUnusable(f"keystore: {len(data)} bytes can't be one")
    magic, version, size, sequence = _HEADER.unpack_from(data)
    if magic != _MAGIC:
        raise KeystoreUnusable("keystore: this is another kind of file")
    body = data[_BODY_AT:]
    digest = hashlib.sha256(data[: _HEADER.size] + body).digest()
    if size != len(body) or digest != data[_HEADER.size : _BODY_AT]:
        raise KeystoreUnusable("keystore: damaged (size or checksum)")
    if version != _VERSION:
        raise KeystoreUnusable(f"keystore: format {version}, this version reads {_VERSION}")
    try:
        record = _from_map(_unpack(body))
    except (ValueError, TypeError, KeyError, TezosError) as error:
        raise KeystoreUnusable(f"keystore: {error}") from error
    if encode_record(record, sequence) != data:
        raise KeystoreUnusable("keystore: not in the one form that is written")
    return sequence, record


def _to_map(record: KeystoreRecord) -> dict[str, object]:
    return {
        "salt": record.salt,
        "kdf": [record.kdf.iterations, record.kdf.memory_kib, record.kdf.lanes],
        "verifier": record.verifier,
        "seed": record.sealed_seed,
        "next_index": record.next_index,
        "keys": [
            {
                "id": key.id,
                "type": str(key.public_key.type),
                "public_key": key.public_key.data,
                "proof": key.proof,
                "chain_id": key.chain_id,
                "dek": key.wrapped_dek,
                "secret": key.sealed_secret,
                "flags": key.flags,
                "last_level": key.last_level,
            }
            for key in record.keys
        ],
        "tombstones": [
            [stone.address, None if stone.marks is None else encode_marks(stone.marks)]
            for stone in record.tombstones
        ],
    }


# Any: msgpack gives whatever the bytes say; `_take` looks at each value before it is used.
def _unpack(body: bytes) -> Any:
    try:
        return msgpack.unpackb(
            body,
            max_str_len=256,
            max_bin_len=4096,
            max_array_len=TOMBSTONES_LIMIT,
            max_map_len=16,
            max_ext_len=0,
        )
    except Exception as error:  # msgpack's own classes have no common root
        raise ValueError(f"not msgpack: {error}") from error


def _from_map(raw: Any) -> KeystoreRecord:
    fields = _take(raw, dict)
    iterations, memory_kib, lanes = _take_all(fields["kdf"], int)
    return KeystoreRecord(
        salt=_take(fields["salt"], bytes),
        kdf=KdfParameters(iterations=iterations, memory_kib=memory_kib, lanes=lanes),
        verifier=_take(fields["verifier"], bytes),
        sealed_seed=_optional(fields["seed"], _take_bytes),
        next_index=_take(fields["next_index"], int),
        keys=tuple(_to_key(key) for key in _take_all(fields["keys"], dict)),
        tombstones=tuple(_to_tombstone(pair) for pair in _take_all(fields["tombstones"], list)),
    )


def _to_key(fields: dict[Any, Any]) -> KeyEntry:
    key_type = KeyType(_take(fields["type"], str))
    return KeyEntry(
        id=_take(fields["id"], str),
        public_key=PublicKey(type=key_type, data=_take_bytes(fields["public_key"])),
        proof=_optional(fields["proof"], _take_bytes),
        chain_id=_optional(fields["chain_id"], _take_bytes),
        wrapped_dek=_take_bytes(fields["dek"]),
        sealed_secret=_take_bytes(fields["secret"]),
        flags=_take(fields["flags"], int),
        last_level=_optional(fields["last_level"], lambda value: _take(value, int)),
    )


def _to_tombstone(pair: list[Any]) -> Tombstone:
    address, body = pair
    marks = _optional(body, lambda value: decode_marks(_take_bytes(value)))
    return Tombstone(address=_take(address, str), marks=marks)


def _take(value: Any, expected: type[T]) -> T:
    if type(value) is not expected:
        raise TypeError(f"expected {expected.__name__}, found {type(value).__name__}")
    return value


def _take_all(value: Any, expected: type[T]) -> list[T]:
    return [_take(item, expected) for item in _take(value, list)]


def _take_bytes(value: Any) -> bytes:
    return _take(value, bytes)


def _optional(value: Any, take: Callable[[Any], T]) -> T | None:
    return None if value is None else take(value)
