"""The store under test: the keychain's own code on a folder, with a cheap key derivation.

Production can't get here: `Keyring.open` takes no parameters, and a keystore that was made with
others than its own is refused as damaged.
"""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final

from gadget.aio import AioContext
from gadget.keychain.admission import BootClock
from gadget.keychain.disk import FolderDisk
from gadget.keychain.envelope import KdfParameters
from gadget.keychain.keyring import Keyring

__all__ = ["AIO_SLOTS", "open_store"]

AIO_SLOTS: Final = 16

_CHEAP_KDF: Final = KdfParameters(iterations=1, memory_kib=8, lanes=1)


@contextmanager
def open_store(folder: Path, aio: AioContext, clock: BootClock | None = None) -> Iterator[Keyring]:
    """As `Keyring.open`, but for what may outlive it: closing `aio` takes the kernel 10 ms."""
    with closing(FolderDisk.open(folder, aio)) as disk:
        keyring = Keyring(disk, kdf=_CHEAP_KDF, clock=clock)
        keyring.load()
        yield keyring
