"""Host processes to be killed: each line on standard input starts one, until it is killed.

A line is a place's address and a level. The child signs one level after the other and sends large
requests between; it says what it does before and after, so that whoever kills it knows in what.
Lines on standard output: "pid N", "sending", "sent", "asks LEVEL PAYLOAD", "got SIGNATURE",
"open", "dead". Children are forked, since a Python takes seconds to start here.
"""

import os
import sys
from itertools import count
from typing import Final

import trio

from broker.contract import INTERFACE_SIGN, PAYLOAD_LIMIT_BYTES
from broker.stream import ByteStream
from host.client import Client
from host.connection import Session, connect_serial, open_session
from tests.faults.ledger import Place, ask_at

__all__ = ["main"]

_LARGE: Final = bytes(PAYLOAD_LIMIT_BYTES)
_FRAME_S: Final = 30.0


def say(text: str) -> None:
    os.write(1, text.encode() + b"\n")


class TellingStream:
    """Tells when a frame is on its way to the board."""

    def __init__(self, stream: ByteStream) -> None:
        self._stream = stream

    async def receive(self) -> bytes:
        return await self._stream.receive()

    async def send(self, data: bytes) -> None:
        say("sending")
        await self._stream.send(data)
        say("sent")

    async def aclose(self) -> None:
        await self._stream.aclose()


async def live(address: str, level: int) -> None:
    """Until it is killed."""
    connection = await connect_serial(None, INTERFACE_SIGN)
    async with (
        open_session(TellingStream(connection.stream)) as session,
        trio.open_nursery() as nursery,
    ):
        say("open")
        nursery.start_soon(send_large, session)
        client = Client(session)
        for each in count(level):
            question = ask_at(Place(address=address, kind="attestation", level=each))
            say(f"asks {each} {question.payload.hex()}")
            signature = await client.sign(address, question.payload)
            say(f"got {signature.hex()}")


async def send_large(session: Session) -> None:
    """What the board refuses, a quarter of a megabyte at a time."""
    while True:
        with trio.fail_after(_FRAME_S):
            await session.call(_LARGE, repeatable=False)


def main() -> None:
    for line in sys.stdin:
        address, level = line.split()
        child = os.fork()
        if child == 0:
            trio.run(live, address, int(level))
            os._exit(1)  # it lives until it is killed
        say(f"pid {child}")
        os.waitpid(child, 0)
        say("dead")


if __name__ == "__main__":
    main()
