"""A running HTTP signer over a fake board, for one test."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Final

import trio

from host.http_server import HttpLimits, HttpServer
from host.key_directory import KeyDirectory
from host.remote_signer import RemoteSigner
from host.settings import ListenAddress
from tests.host.fake_board import FakeBoard
from tests.host.http_client import Answer, exchange
from tezos.keys import KeyType

__all__ = ["ANY_PORT", "HURRIED", "Serving", "serving", "until"]

HURRIED: Final = HttpLimits(body_s=0.2, idle_s=0.2)
ANY_PORT: Final = ListenAddress(host="127.0.0.1", port=0)


class Serving:
    """The port, the server itself and the board behind it."""

    def __init__(self, port: int, server: HttpServer, board: FakeBoard) -> None:
        self.port = port
        self.server = server
        self.board = board

    async def ask(self, *parts: bytes) -> Answer:
        answer = await exchange(self.port, parts)
        assert answer is not None
        return answer

    async def wait_until_empty(self, within_s: float = 3) -> None:
        await until(lambda: self.server.open_connections == 0, within_s)


@asynccontextmanager
async def serving(
    limits: HttpLimits | None = None, key_type: KeyType = KeyType.TZ4
) -> AsyncIterator[Serving]:
    board = FakeBoard(key_type)
    server = HttpServer(RemoteSigner(board, KeyDirectory()).answer, limits)
    async with trio.open_nursery() as nursery:
        address = await nursery.start(server.run, ANY_PORT)
        with trio.fail_after(60):
            yield Serving(address.port, server, board)
        server.stop()


async def until(condition: Callable[[], bool], within_s: float = 3) -> None:
    with trio.fail_after(within_s):
        while not condition():  # noqa: ASYNC110 - nothing in the server tells tests of it
            await trio.sleep(0.001)
