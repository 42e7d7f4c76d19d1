"""The one holder of secret bytes: wiped after use, compared in constant time, shown as a length.

What it can't do: Python and the libraries below make copies of their own (an immutable `bytes`
from the wire, the key inside a cipher object). Those are kept short-lived by their owners, and
docs/on-disk.md says where they are. Called by the whole keychain and by `gadget.rpc`.
"""

import hmac
from types import TracebackType
from typing import NoReturn, Self, final

__all__ = ["Secret"]


@final
class Secret:
    """Secret bytes until `wipe`; a context manager that wipes.

    Args:
        data: copied; a bytearray is taken over instead, so that no second copy stays behind.
    """

    __slots__ = ("_data", "_wiped")
    __hash__ = None  # type: ignore[assignment]  # a secret is no key of a dict

    def __init__(self, data: bytes | bytearray) -> None:
        self._data = data if isinstance(data, bytearray) else bytearray(data)
        self._wiped = False

    def reveal(self) -> bytearray:
        """Returns the holder's own buffer, not a copy: don't keep it.

        Raises:
            ValueError: the secret was wiped; a fault of the caller.
        """
        if self._wiped:
            raise ValueError("this secret was wiped")
        return self._data

    def wipe(self) -> None:
        """Overwrites the bytes. More than once is harmless."""
        self._data[:] = bytes(len(self._data))
        self._wiped = True

    def __len__(self) -> int:
        return len(self._data)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        return hmac.compare_digest(self.reveal(), other.reveal())

    def __repr__(self) -> str:
        return f"<secret of {len(self._data)} bytes>"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a secret is never pickled or copied")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        _error_type: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        self.wipe()
