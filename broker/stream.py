"""What the engine needs of a link: bytes in order, both ways. An interface only, no code.

`gadget.endpoints` and `host.usb_stream` implement it; tests/contract_stream.py tests what it says.
"""

from typing import Protocol

__all__ = ["ByteStream"]


class ByteStream(Protocol):
    """A two-way stream of bytes.

    Errors are OSError, which `broker.errors.classify` reads, or LinkLost where the link can't come
    back. A closed stream raises LinkLost, OSError (EBADF) or trio.ClosedResourceError.
    """

    async def receive(self) -> bytes:
        """Waits for the next bytes, at least one; b"" means end of file.

        Cancel: loses nothing, the next call returns what came meanwhile.
        """
        ...

    async def send(self, data: bytes) -> None:
        """Sends all of it. Callers send one at a time, also while another task is in `receive`.

        Cancel: a part of the data may have gone out.
        """
        ...

    async def aclose(self) -> None:
        """Ends all further use; a task that waits in `receive` gets an error."""
        ...
