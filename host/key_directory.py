"""Which keys `tezsign run` serves: names and addresses as the board last listed them. Pure; time is
passed in.

Owns the choice by name and the limit on how often the board is asked again. Never asks it itself.
Called by `remote_signer`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from broker.messages import KeyStatus
from tezos.keys import KeyType

__all__ = ["REFRESH_S", "KeyDirectory", "ServedKey"]

REFRESH_S: Final = 5.0
_TYPES: Final = frozenset(key_type.value for key_type in KeyType)


@dataclass(frozen=True, slots=True, kw_only=True)
class ServedKey:
    """`proof` is the key's proof of possession as BLsig…; None for a key that is not tz4."""

    alias: str
    address: str
    type: KeyType
    public_key: str
    proof: str | None


class KeyDirectory:
    """The served keys by address. `aliases` empty = every key of the board, new ones too.

    Types that only a newer board knows are left out.
    """

    def __init__(self, aliases: Sequence[str] = (), *, refresh_s: float = REFRESH_S) -> None:
        self._aliases = frozenset(aliases)
        self._refresh_s = refresh_s
        self._asked_s: float | None = None
        self._keys: dict[str, ServedKey] = {}
        self.is_loaded = False

    @property
    def keys(self) -> tuple[ServedKey, ...]:
        return tuple(self._keys.values())

    def find(self, address: str) -> ServedKey | None:
        return self._keys.get(address)

    def take_turn(self, now_s: float) -> bool:
        """Says whether the board may be asked again; the caller then does."""
        if self._asked_s is not None and now_s - self._asked_s < self._refresh_s:
            return False
        self._asked_s = now_s
        return True

    def load(self, listed: Sequence[KeyStatus]) -> tuple[str, ...]:
        """Takes the board's list in place of the last one. Returns the asked-for names that are not
        in it.
        """
        self._keys = {
            key.pkh: ServedKey(
                alias=key.id,
                address=key.pkh,
                type=KeyType(key.type),
                public_key=key.public_key,
                proof=key.proof_of_possession,
            )
            for key in listed
            if (not self._aliases or key.id in self._aliases) and key.type in _TYPES
        }
        self.is_loaded = True
        return tuple(sorted(self._aliases - {key.id for key in listed}))
