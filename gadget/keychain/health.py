"""What the keychain tells of itself: how long its two steps take, and whether mark files are there.

Read by `gadget.health`. A look at the files is a look only: whether a block is whole its key must
be unlocked to know, and every signature replaces both blocks.
"""

from collections.abc import Callable, Mapping
from typing import Final, final

import trio

from broker.latency import LatencyMeter
from gadget.keychain.disk import Disk
from gadget.keychain.mark_store import find_damage
from gadget.occupancy import Occupancy
from gadget.thread_stack import StackMeter

__all__ = ["KeyringHealth"]


@final
class KeyringHealth:
    """One keyring's.

    Attributes:
        marks: what the durable write of the marks adds to each signature.
        signature: how long each signature is computed.
        syncs: how many syncs of marks the kernel has; None: this disk does not tell.
        stack: what key derivations use of their threads' stacks.

    Args:
        keys: by address; only the addresses are used.
    """

    def __init__(self, disk: Disk, keys: Mapping[str, object], stack: StackMeter) -> None:
        self.marks: Final = LatencyMeter()
        self.signature: Final = LatencyMeter()
        self.syncs: Callable[[], Occupancy] | None = None
        self.stack: Final = stack
        self._disk = disk
        self._keys = keys

    async def find_damaged_marks(self) -> dict[str, str]:
        """Returns what is wrong with the files of each address, where something is."""
        return await trio.to_thread.run_sync(self._find, tuple(self._keys))

    def _find(self, addresses: tuple[str, ...]) -> dict[str, str]:
        found = {address: find_damage(self._disk, address) for address in addresses}
        return {address: damage for address, damage in found.items() if damage}
