"""The bytes of a key on its way to another board: sealed under a passphrase of their own. Pure.

Owns the layout. Knows no passphrase and no disk: the key and the nonce come in. The host carries
these bytes and can't read them. Called by `key_transfer`. The tables are those of docs/on-disk.md;
all integers are little-endian.
"""

from dataclasses import dataclass
from struct import Struct
from struct import error as StructError  # noqa: N812 - it is a class
from types import TracebackType
from typing import Final, Self

from broker.bounds import check, check_id
from gadget.keychain.envelope import (
    KEY_BYTES,
    SALT_BYTES,
    KdfParameters,
    bind,
    open_sealed,
    seal,
)
from gadget.keychain.errors import KeyFileRefused, NotAuthentic
from gadget.keychain.keystore_record import EXPORTABLE
from gadget.keychain.mark_record import decode_marks, encode_marks
from gadget.keychain.marks import Marks
from gadget.keychain.secret import Secret
from tezos.keys import KeyType

__all__ = ["MovedKey", "decode_header", "decode_key", "encode_header", "encode_key"]

# Header, 40 bytes:
#   offset 0  size 8  magic "TZSEXPRT"
#          8       2  format version, 1
#         10       2  zero
#         12       4  Argon2id iterations
#         16       4  Argon2id memory in KiB
#         20       4  Argon2id lanes
#         24      16  salt
# Then the body, sealed by AES-256-GCM: nonce (12), ciphertext, tag (16). Context: "export", header.
_HEADER: Final = Struct("<8sH2xIII16s")
_MAGIC: Final = b"TZSEXPRT"
_VERSION: Final = 1

# Body, 44 bytes, then the id and the marks:
#   offset 0  size 3  key type, "tz1" to "tz4"
#          3       1  size of the id k
#          4       4  flags, as in the keystore
#          8       4  the chain that the key signs on
#         12      32  secret
#         44       k  id
#       44+k          marks, a body as in the slots
_BODY: Final = Struct("<3sBI4s32s")
_SECRET_AT: Final = _BODY.size - KEY_BYTES


@dataclass(frozen=True, slots=True, kw_only=True)
class MovedKey:
    """A key outside of a keystore; a context manager that wipes its secret."""

    id: str
    key_type: KeyType
    flags: int
    chain_id: bytes
    secret: Secret
    marks: Marks

    def __post_init__(self) -> None:
        check_id(self.id)
        check(self.flags in (0, EXPORTABLE), "key flags: unknown")
        check(len(self.chain_id) == 4, "chain id: expected 4 bytes")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        _error_type: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        self.secret.wipe()


def encode_header(kdf: KdfParameters, salt: bytes) -> bytes:
    return _HEADER.pack(_MAGIC, _VERSION, kdf.iterations, kdf.memory_kib, kdf.lanes, salt)


def decode_header(data: bytes) -> tuple[KdfParameters, bytes]:
    """Returns what the passphrase costs, and the salt.

    Raises:
        KeyFileRefused: this is no key's file, or of a version that is not known.
    """
    try:
        magic, version, iterations, memory_kib, lanes, salt = _HEADER.unpack_from(data)
        kdf = KdfParameters(iterations=iterations, memory_kib=memory_kib, lanes=lanes)
    except (StructError, ValueError) as error:
        raise KeyFileRefused(f"this is no file with a key: {error}") from error
    if magic != _MAGIC or encode_header(kdf, salt)[10:12] != data[10:12]:
        raise KeyFileRefused("this is no file with a key")
    if version != _VERSION:
        raise KeyFileRefused(f"the key's file has format {version}, this board reads {_VERSION}")
    return kdf, salt


def encode_key(key: MovedKey, header: bytes, kek: Secret, nonce: bytes) -> bytes:
    """Returns the whole file. Args: nonce: 12 random bytes."""
    name, marks = key.id.encode(), encode_marks(key.marks)
    with Secret(bytearray(_BODY.size + len(name) + len(marks))) as body:
        data = body.reveal()
        head = (str(key.key_type).encode(), len(name), key.flags, key.chain_id, key.secret.reveal())
        _BODY.pack_into(data, 0, *head)
        data[_BODY.size :] = name + marks
        return header + seal(kek, data, context=bind(b"export", header), nonce=nonce)


def decode_key(data: bytes, kek: Secret) -> MovedKey:
    """Raises: KeyFileRefused: damaged, or the passphrase is another one."""
    header = data[: _HEADER.size]
    try:
        opened = open_sealed(kek, data[_HEADER.size :], context=bind(b"export", header))
    except NotAuthentic as error:
        raise KeyFileRefused("the file is damaged, or its passphrase is another one") from error
    with opened as body:
        return _decode_body(body.reveal())


def _decode_body(body: bytearray) -> MovedKey:
    try:
        name_end = _BODY.size + body[3]
        marks = decode_marks(bytes(body[name_end:]))
        return MovedKey(
            id=body[_BODY.size : name_end].decode(),
            key_type=KeyType(body[:3].decode()),
            flags=int.from_bytes(body[4:8], "little"),
            chain_id=bytes(body[8:_SECRET_AT]),
            secret=Secret(body[_SECRET_AT : _BODY.size]),
            marks=marks,
        )
    except (ValueError, IndexError) as error:
        raise KeyFileRefused("the file was made by a version that is not known") from error


assert _HEADER.size == 24 + SALT_BYTES  # noqa: S101 - the layout against the envelope
