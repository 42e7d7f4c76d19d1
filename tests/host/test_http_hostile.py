"""Clients that behave badly: bounded, answered or dropped, and nothing of them stays."""

import gc
from dataclasses import dataclass
from pathlib import Path

import pytest
import trio
import trio.testing

from host.http_server import HttpLimits, HttpServer
from host.signer_api import HttpRequest, HttpResponse
from tests.host.http_client import chunk, exchange, octez_get, octez_post, receive_answer
from tests.host.http_serving import ANY_PORT, HURRIED, Serving, serving, until
from tezos.keys import KeyType

HEAD = b"POST /keys/x HTTP/1.1\r\nhost: h\r\ntransfer-encoding: chunked\r\n\r\n"


async def test_a_body_that_never_ends_is_408() -> None:
    async with serving(HURRIED) as here:
        answer = await here.ask(HEAD, chunk(b'"12'))
        assert answer.status == 408
        assert answer.headers["connection"] == "close"
        await here.wait_until_empty()


async def test_a_body_that_never_stops_is_413_and_leaves_nothing_behind() -> None:
    async with serving(HURRIED) as here:
        for piece in (b"x", b"x" * 60_000):
            with trio.move_on_after(1):
                async with await trio.open_tcp_stream("127.0.0.1", here.port) as stream:
                    await stream.send_all(HEAD)
                    try:
                        while True:
                            await stream.send_all(chunk(piece) * (60_000 // len(piece)))
                    except trio.BrokenResourceError:
                        pass
        await here.wait_until_empty()


async def test_pieces_that_wait_behind_the_limit_do_not_hold_the_answer_up() -> None:
    async with serving(HttpLimits(body_bytes=10)) as here:
        for _ in range(5):
            assert (await here.ask(HEAD + chunk(b"x") * 10_000)).status == 413
        await here.wait_until_empty()


async def test_a_body_above_the_limit_is_413() -> None:
    async with serving() as here:
        size = HttpLimits().body_bytes
        fits = b'"' + b"0" * (size - 2) + b'"'
        head = b"POST /keys/x HTTP/1.1\r\nhost: h\r\ncontent-length: %d\r\n\r\n"
        assert (await here.ask(head % size, fits)).status == 404
        assert (await here.ask(head % (size + 1), fits + b"\n")).status == 413


async def test_the_body_of_a_get_is_bounded_too() -> None:
    async with serving(HURRIED) as here:
        get = HEAD.replace(b"POST", b"GET")
        assert (await here.ask(get, chunk(b"x" * 20_000))).status == 413
        assert (await here.ask(get, chunk(b"x"))).status == 408


async def test_headers_above_the_limit_are_431() -> None:
    async with serving(HURRIED) as here:
        answer = await here.ask(b"GET / HTTP/1.1\r\nhost: h\r\nx: " + b"a" * 9_000)
        assert answer.status == 431


@pytest.mark.parametrize("start", [b"", b"GET /known_keys HTTP/1.1\r\nhost: h\r\nx-slow: "])
async def test_headers_that_do_not_end_are_dropped(start: bytes) -> None:
    async with serving(HURRIED) as here:
        assert await exchange(here.port, [start]) is None
        await here.wait_until_empty()


@pytest.mark.parametrize(
    "junk",
    [
        b"\x00" * 100,
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"hello\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET  / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
        b"POST / HTTP/1.1\r\nhost: h\r\ncontent-length: -1\r\n\r\n",
        b"POST / HTTP/1.1\r\nhost: h\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n",
        b"POST / HTTP/1.1\r\nhost: h\r\ntransfer-encoding: gzip, chunked\r\n\r\n",
        HEAD + b"zz\r\n",
        HEAD + b"ffffffffffffffffffff\r\n",
    ],
)
async def test_garbage_is_refused_or_dropped(junk: bytes) -> None:
    async with serving(HURRIED) as here:
        answer = await exchange(here.port, [junk])
        assert answer is None or answer.status >= 400
        await here.wait_until_empty()
        assert (await here.ask(octez_get("/known_keys", here.port))).status == 200


async def test_other_protocols_than_http_1_get_nothing() -> None:
    upgrade = b"GET /known_keys HTTP/1.1\r\nhost: h\r\nconnection: upgrade, http2-settings\r\n"
    h2c = b"upgrade: h2c\r\nhttp2-settings: AAMAAABkAAQCAAAAAAIAAAAA\r\n\r\n"
    websocket = (
        b"upgrade: websocket\r\nsec-websocket-version: 13\r\n"
        b"sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
    async with serving(HURRIED) as here:
        for request in (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", upgrade + h2c, upgrade + websocket):
            stream = await trio.open_tcp_stream("127.0.0.1", here.port)
            async with stream:
                await stream.send_all(request)
                with trio.move_on_after(1):
                    while data := await stream.receive_some():
                        assert b"known_keys" not in data
        assert here.board.asked == []
        assert (await here.ask(octez_get("/known_keys", here.port))).status == 200


async def test_requests_that_are_sent_ahead_are_answered_in_turn() -> None:
    async with serving(HURRIED) as here:
        stream = await trio.open_tcp_stream("127.0.0.1", here.port)
        await stream.send_all(octez_get("/authorized_keys", here.port) * 5)
        data = b"".join([part async for part in stream])
        assert data.count(b"HTTP/1.1 200") == 5
        await stream.aclose()


async def test_one_connection_too_many_is_closed() -> None:
    async with serving(HttpLimits(connections=2)) as here:
        streams = [await trio.open_tcp_stream("127.0.0.1", here.port) for _ in range(2)]
        await until(lambda: here.server.open_connections == 2)
        assert await exchange(here.port, [octez_get("/known_keys", here.port)]) is None
        await streams[0].aclose()
        await until(lambda: here.server.open_connections == 1)
        assert (await here.ask(octez_get("/known_keys", here.port))).status == 200
        await streams[1].aclose()


@pytest.mark.parametrize("stuck", ["asks and waits", "never reads", "says nothing", "half a body"])
async def test_stopping_takes_a_moment_whatever_clients_do(stuck: str) -> None:
    async def answer(_request: HttpRequest) -> HttpResponse:
        if stuck == "asks and waits":
            await trio.sleep_forever()
        return HttpResponse(status=200, body=b" " * 20_000_000)

    server = HttpServer(answer, HttpLimits(goodbye_s=0.2))
    async with trio.open_nursery() as nursery:
        address = await nursery.start(server.run, ANY_PORT)
        async with await trio.open_tcp_stream("127.0.0.1", address.port) as stream:
            if stuck == "half a body":
                await stream.send_all(HEAD)
            elif stuck != "says nothing":
                await stream.send_all(octez_get("/", address.port))
            if stuck == "never reads":
                await stream.receive_some(10)
            await until(lambda: server.open_connections == 1)
            server.stop()
            await until(lambda: server.open_connections == 0, within_s=3)


@pytest.mark.parametrize("said", ["nothing", "one request", "an open question"])
async def test_a_connection_ends_with_its_client_and_not_with_the_idle_time(said: str) -> None:
    async with serving() as here:
        gate = trio.Event()
        if said == "an open question":
            here.board.before = gate.wait
        stream = await trio.open_tcp_stream("127.0.0.1", here.port)
        if said != "nothing":
            await stream.send_all(octez_get("/known_keys", here.port))
        if said == "one request":
            await receive_answer(stream)
        await trio.testing.wait_all_tasks_blocked(0.01)
        await stream.aclose()
        await trio.testing.wait_all_tasks_blocked(0.01)
        gate.set()
        await until(lambda: here.server.open_connections == 0, within_s=3)


async def test_a_connection_that_is_too_old_is_closed() -> None:
    async with serving(HttpLimits(connection_s=0.1)) as here:
        gate = trio.Event()
        here.board.before = gate.wait
        assert await exchange(here.port, [octez_get("/known_keys", here.port)]) is None
        gate.set()
        await here.wait_until_empty()


async def test_thousands_of_connections_leave_nothing_behind() -> None:
    """One connection for each call, as octez has it: descriptors, tasks and memory stay."""
    async with serving(key_type=KeyType.TZ1) as here:  # 2,000 BLS signatures take seconds
        request = octez_post(here.board.keys[0].address, b"\x13vote", here.port)
        await _repeat(here, request, 300)
        before = _count_what_is_held()
        await _repeat(here, request, 2_000)
        after = _count_what_is_held()
    assert (after.tasks, after.descriptors) == (before.tasks, before.descriptors)
    assert after.objects - before.objects < 1_000  # one for two connections would be too many
    assert after.memory_kb - before.memory_kb < 4_000


@dataclass(frozen=True, kw_only=True)
class Held:
    tasks: int
    descriptors: int
    objects: int
    memory_kb: int


def _count_what_is_held() -> Held:
    gc.collect()
    statm = Path("/proc/self/statm")  # Linux only
    return Held(
        tasks=trio.lowlevel.current_statistics().tasks_living,
        descriptors=sum(1 for _ in Path("/dev/fd").iterdir()),
        objects=len(gc.get_objects()),
        memory_kb=4 * int(statm.read_text().split()[1]) if statm.is_file() else 0,
    )


async def _repeat(here: Serving, request: bytes, times: int) -> None:
    for _ in range(times):
        assert (await here.ask(request)).status == 200
    await here.wait_until_empty()
