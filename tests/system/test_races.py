"""64 requests for one level at once, to the keyring and over HTTP: one payload is signed."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import Final, TypeVar

import pytest
import trio

from broker.contract import INTERFACE_SIGN
from broker.peer import Peer
from gadget.imageinfo import ImageInfo
from gadget.keychain.errors import StaleWatermark
from gadget.logs import LogBook
from gadget.rpc import BUG_ANSWER, Service
from gadget.signature_log import SignatureLog
from host.client import Client
from host.connection import open_session
from host.http_server import HttpServer
from host.key_directory import KeyDirectory
from host.remote_signer import RemoteSigner
from tests.fakes.disk import FakeDisk
from tests.fakes.streams import memory_streams
from tests.gadget.keychain.board import Board, attest, start_board
from tests.host.http_client import Answer, exchange, octez_post
from tests.host.http_serving import ANY_PORT
from tezos.keys import KeyType
from tezos.verify import encode_signature

T = TypeVar("T")

_REQUESTS: Final = 64
_LEVEL: Final = 5000
_ANSWER_S: Final = 60.0  # of a busy machine; the race is what counts here

both_ways = pytest.mark.parametrize("journals_data", [True, False])


@pytest.fixture(autouse=True)
def _slow_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """No write is durable before somebody has waited for it: the others get their turn."""
    monkeypatch.setattr(FakeDisk, "is_quick", lambda _: False)


async def ask_at_once(asked: Sequence[Callable[[], Awaitable[T]]]) -> list[T]:
    answers: list[T] = []

    async def ask(question: Callable[[], Awaitable[T]]) -> None:
        answers.append(await question())

    async with trio.open_nursery() as nursery:
        for question in asked:
            nursery.start_soon(ask, question)
    return answers


async def sign(board: Board, payload: bytes) -> bytes | None:
    try:
        return await board.sign(payload)
    except StaleWatermark:
        return None


@both_ways
async def test_of_many_payloads_for_one_level_one_is_signed(journals_data: bool) -> None:
    board = await start_board(journals_data=journals_data, seed=3)
    payloads = [attest(_LEVEL, variant=number) for number in range(_REQUESTS)]
    answers = await ask_at_once([partial(sign, board, payload) for payload in payloads])
    (signature,) = (answer for answer in answers if answer is not None)
    (signed,) = (payload for payload in payloads if board.verifies(signature, payload))
    for payload in payloads:
        assert await sign(board, payload) == (signature if payload == signed else None)


@both_ways
async def test_the_same_payload_many_times_is_one_signature_and_one_write(
    journals_data: bool,
) -> None:
    board = await start_board(journals_data=journals_data, seed=3)
    before = len(board.disk.calls)
    answers = await ask_at_once([partial(sign, board, attest(_LEVEL))] * _REQUESTS)
    calls = board.disk.calls[before:]
    assert len(answers) == _REQUESTS
    (signature,) = set(answers)
    assert signature is not None
    assert board.verifies(signature, attest(_LEVEL))
    assert calls.count("overwrite") == 2  # each slot once
    assert calls.count("wait") == (1 if journals_data else 2)


class _Wired(Client):
    """`host.remote_signer.Board`."""

    problem = None


@asynccontextmanager
async def wired_to_http(board: Board) -> AsyncIterator[int]:
    """The board's service and the host's HTTP signer, with their brokers on a pair of streams.

    Yields: the port.
    """
    service = Service(
        keyring=board.keyring,
        log_book=LogBook(),
        image=ImageInfo(version="", date=""),
        signatures=SignatureLog(),
    )
    ours, theirs = memory_streams()
    peer = Peer(theirs, handler=partial(service.answer, INTERFACE_SIGN), on_bug=BUG_ANSWER)
    async with trio.open_nursery() as nursery:
        await nursery.start(peer.run)
        async with open_session(ours) as session:
            signer = RemoteSigner(_Wired(session), KeyDirectory(), answer_s=_ANSWER_S)
            server = HttpServer(signer.answer)
            address = await nursery.start(server.run, ANY_PORT)
            yield address.port
            server.stop()
        nursery.cancel_scope.cancel()


async def post(board: Board, port: int, payload: bytes) -> Answer:
    answer = await exchange(port, [octez_post(board.status().pkh, payload, port)])
    assert answer is not None
    return answer


@both_ways
async def test_of_many_payloads_over_http_one_is_signed(journals_data: bool) -> None:
    board = await start_board(journals_data=journals_data, seed=3)
    payloads = [attest(_LEVEL, variant=number) for number in range(_REQUESTS)]
    async with wired_to_http(board) as port:
        answers = await ask_at_once([partial(post, board, port, payload) for payload in payloads])
    statuses = sorted(answer.status for answer in answers)
    assert statuses == [200] + [409] * (_REQUESTS - 1)
    (signed,) = [payload for payload in payloads if await sign(board, payload) is not None]
    given = json.loads(min(answers, key=lambda answer: answer.status).body)["signature"]
    signature = await board.sign(signed)
    assert given == encode_signature(KeyType.TZ1, signature)
    assert board.verifies(signature, signed)


@both_ways
async def test_the_same_payload_over_http_is_one_signature_and_one_write(
    journals_data: bool,
) -> None:
    board = await start_board(journals_data=journals_data, seed=3)
    async with wired_to_http(board) as port:
        before = len(board.disk.calls)
        answers = await ask_at_once([partial(post, board, port, attest(_LEVEL))] * _REQUESTS)
        calls = board.disk.calls[before:]
    assert [answer.status for answer in answers] == [200] * _REQUESTS
    assert len({answer.body for answer in answers}) == 1
    assert calls.count("overwrite") == 2
