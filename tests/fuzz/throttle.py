"""The tries of a passphrase: a block counts only as it is written, and no wait is ever too long.

A checksum keeps chance out, so what does not begin like a block is tried as its first 68 bytes.
"""

import hashlib
from collections.abc import Iterator
from typing import Final

from gadget.keychain.throttle import (
    THROTTLE_BYTES,
    TRIES_LIMIT,
    WINDOW_MS,
    Tries,
    decode_tries,
    encode_tries,
)

__all__ = ["one_input", "seeds"]

_MAGIC: Final = b"TZSTRIES"
_HEAD_BYTES: Final = 68
_NOW_MS: Final = 1_000_000
_BOOT: Final = b"b" * 16


def one_input(data: bytes) -> None:
    if not data.startswith(_MAGIC):
        head = (_MAGIC + b"\1\0" + data)[:_HEAD_BYTES].ljust(_HEAD_BYTES, b"\0")
        data = head + hashlib.sha256(head).digest()
    block = data.ljust(THROTTLE_BYTES, b"\0")
    tries = decode_tries(block)
    if tries is None:
        return
    assert encode_tries(tries) == block
    seen = tries.seen_at(_BOOT, _NOW_MS)
    assert 0 <= seen.wait_ms(_NOW_MS) <= WINDOW_MS
    assert len(seen.with_try(_NOW_MS + seen.wait_ms(_NOW_MS)).times_ms) <= TRIES_LIMIT


def seeds() -> Iterator[bytes]:
    for tries in (
        Tries(boot_id=_BOOT),
        Tries(boot_id=_BOOT, times_ms=(1, _NOW_MS - 5, _NOW_MS)),
        Tries.full(_BOOT, _NOW_MS - 1),
        Tries.full(b"c" * 16, 2**64 - 1),
    ):
        block = encode_tries(tries).rstrip(b"\0")
        yield block
        yield block[10:_HEAD_BYTES]
