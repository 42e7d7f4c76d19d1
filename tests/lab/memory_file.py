"""Files without a place on disk, for what QEMU takes or gives as a file: none stays behind."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Self

__all__ = ["MemoryFile"]


@dataclass(frozen=True, kw_only=True, slots=True)
class MemoryFile:
    """Open it with `with`. A child that inherits the descriptor finds it at the same path."""

    descriptor: int

    @classmethod
    def create(cls, name: str, data: bytes = b"") -> Self:
        """Args: name: shown in /proc only."""
        descriptor = os.memfd_create(name)
        with os.fdopen(os.dup(descriptor), "wb") as file:
            file.write(data)
        return cls(descriptor=descriptor)

    @property
    def path(self) -> Path:
        """Good for whoever has the descriptor."""
        return Path(f"/proc/self/fd/{self.descriptor}")

    def __enter__(self) -> Self:
        """Nothing to do: it is open."""
        return self

    def __exit__(self, *_: object) -> None:
        """Frees the memory once QEMU has ended, too."""
        os.close(self.descriptor)
