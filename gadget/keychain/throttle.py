"""How often a passphrase may be tried: 5 times in 30 s. Pure; the clock comes in.

Owns the rule and the block that keeps the tries over a restart. The board has no clock, so a try
is a time since boot and the boot it belongs to; tries of an earlier boot count as made when this
one first looked, or switching the board off and on would be worth four tries. Called by
`gadget.keychain.admission`. Integers are little-endian; the table is that of docs/on-disk.md.
"""

import hashlib
from dataclasses import dataclass
from struct import Struct
from typing import Final

__all__ = ["THROTTLE_BYTES", "TRIES_LIMIT", "WINDOW_MS", "Tries", "decode_tries", "encode_tries"]

TRIES_LIMIT: Final = 5
WINDOW_MS: Final = 30_000
THROTTLE_BYTES: Final = 4096

# Block, 4096 bytes:
#   offset 0  size 8  magic "TZSTRIES"
#          8       2  format version, 1
#         10       2  number of tries n, 0 to 5
#         12      16  boot id
#         28     5*8  times since boot in ms, eldest first; zeros after the n-th
#         68      32  SHA-256 of bytes 0 to 67
#        100          zero
_LAYOUT: Final = Struct("<8sHH16s5Q")
_MAGIC: Final = b"TZSTRIES"
_VERSION: Final = 1
_BOOT_ID_BYTES: Final = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Tries:
    """The tries that still count, as of the last one."""

    boot_id: bytes
    times_ms: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if len(self.boot_id) != _BOOT_ID_BYTES or len(self.times_ms) > TRIES_LIMIT:
            raise ValueError("expected a boot id of 16 bytes and at most 5 tries")

    @classmethod
    def full(cls, boot_id: bytes, now_ms: int) -> "Tries":
        """Returns what is assumed where nothing is known."""
        return cls(boot_id=boot_id, times_ms=(now_ms,) * TRIES_LIMIT)

    def seen_at(self, boot_id: bytes, now_ms: int) -> "Tries":
        """Returns the same tries in terms of this boot."""
        if boot_id != self.boot_id or any(time_ms > now_ms for time_ms in self.times_ms):
            return Tries(boot_id=boot_id, times_ms=(now_ms,) * len(self.times_ms))
        return self

    def wait_ms(self, now_ms: int) -> int:
        """Returns how long to wait for the next try; 0: none."""
        recent = self._recent(now_ms)
        return 0 if len(recent) < TRIES_LIMIT else recent[0] + WINDOW_MS - now_ms

    def with_try(self, now_ms: int) -> "Tries":
        return Tries(boot_id=self.boot_id, times_ms=(*self._recent(now_ms), now_ms))

    def _recent(self, now_ms: int) -> tuple[int, ...]:
        return tuple(time_ms for time_ms in self.times_ms if now_ms < time_ms + WINDOW_MS)


def encode_tries(tries: Tries) -> bytes:
    times_ms = (*tries.times_ms, *(0,) * (TRIES_LIMIT - len(tries.times_ms)))
    head = _LAYOUT.pack(_MAGIC, _VERSION, len(tries.times_ms), tries.boot_id, *times_ms)
    return (head + hashlib.sha256(head).digest()).ljust(THROTTLE_BYTES, b"\0")


def decode_tries(block: bytes) -> Tries | None:
    """Returns None unless the block is whole."""
    if len(block) != THROTTLE_BYTES:
        return None
    magic, version, count, boot_id, *times_ms = _LAYOUT.unpack_from(block)
    if (magic, version) != (_MAGIC, _VERSION) or count > TRIES_LIMIT:
        return None
    tries = Tries(boot_id=boot_id, times_ms=tuple(times_ms[:count]))
    return tries if encode_tries(tries) == block else None
