"""The signer over real sockets: octez's form, other clients, the log, and the end."""

import json
import logging

import pytest
import trio

from host.http_server import HttpLimits, HttpServer
from host.key_directory import KeyDirectory
from host.remote_signer import RemoteSigner
from host.settings import ListenAddress
from tests.host.http_client import octez_get, octez_post, receive_answer, wire_forms
from tests.host.http_serving import serving, until
from tezos.verify import decode_signature, verify

HALF = b"POST /keys/x HTTP/1.1\r\nhost: h\r\ntransfer-encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(("get", "post"), wire_forms(), ids=lambda _: "")
@pytest.mark.parametrize("version", ["2", "3"])
async def test_octez_gets_its_signature(get: str, post: str, version: str) -> None:
    async with serving() as here:
        (key,) = here.board.keys
        asked = await here.ask(octez_get("/authorized_keys", here.port, get))
        assert (asked.status, asked.body) == (200, b"{}")
        request = octez_post(key.address, b"\x13vote", here.port, post, version)
        answer = await here.ask(request)
        assert answer.status == 200
        assert answer.headers["content-type"] == "application/json"
        assert "server" not in answer.headers
        signature = json.loads(answer.body)
        assert list(signature) == ["signature"]
        assert verify(key, decode_signature(signature["signature"]).data, b"\x13vote")


async def test_a_request_that_comes_byte_by_byte_is_answered() -> None:
    async with serving() as here:
        request = octez_post(here.board.keys[0].address, b"\x13vote", here.port)
        parts = [request[n : n + 1] for n in range(len(request))]
        assert (await here.ask(*parts)).status == 200


async def test_an_unknown_key_or_path_is_404_with_an_empty_body() -> None:
    async with serving() as here:
        for path in ("/keys/tz4AQcKaQU1sUzsmPTX43qnK4ddkCeeknJnf", "/", "/%ff%00/..", "//", "/x?y"):
            answer = await here.ask(octez_get(path, here.port))
            assert (answer.status, answer.body) == (404, b"")
            assert "content-type" not in answer.headers


async def test_head_and_other_methods_are_harmless() -> None:
    async with serving() as here:
        async with await trio.open_tcp_stream("127.0.0.1", here.port) as stream:
            await stream.send_all(b"HEAD /authorized_keys HTTP/1.0\r\n\r\n")
            data = b"".join([part async for part in stream])
            assert data.startswith(b"HTTP/1.1 200")
            assert data.endswith(b"\r\n\r\n")
        for method in (b"OPTIONS", b"DELETE", b"TRACE", b"CONNECT", b"BREW"):
            answer = await here.ask(method + b" /authorized_keys HTTP/1.1\r\nhost: h\r\n\r\n")
            assert answer.status == 405
            assert answer.headers["allow"] == "GET, HEAD"


@pytest.mark.parametrize(
    "header", [b"Origin: http://evil.example", b"origin: null", b"Sec-Fetch-Site: same-origin"]
)
async def test_web_pages_are_refused(header: bytes) -> None:
    async with serving() as here:
        request = b"GET /known_keys HTTP/1.1\r\nhost: h\r\n" + header + b"\r\n\r\n"
        assert (await here.ask(request)).status == 403


async def test_a_person_with_a_browser_may_look() -> None:
    async with serving() as here:
        request = b"GET /known_keys HTTP/1.1\r\nhost: h\r\nSec-Fetch-Site: none\r\n\r\n"
        assert (await here.ask(request)).status == 200


async def test_a_connection_is_used_again_but_not_for_ever() -> None:
    async with serving(HttpLimits(answers_per_connection=3)) as here:
        stream = await trio.open_tcp_stream("127.0.0.1", here.port)
        for number in range(3):
            await stream.send_all(octez_get("/known_keys", here.port))
            answer = await receive_answer(stream)
            assert answer is not None
            assert ("connection" in answer.headers) == (number == 2)
        assert await receive_answer(stream) is None
        await stream.aclose()


async def test_a_bug_is_500_and_the_server_goes_on(caplog: pytest.LogCaptureFixture) -> None:
    async with serving() as here:
        here.board.failure = ZeroDivisionError("secret detail")
        answer = await here.ask(octez_get("/known_keys", here.port))
        assert answer.status == 500
        assert b"secret" not in answer.body
        here.board.failure = None
        assert (await here.ask(octez_get("/authorized_keys", here.port))).status == 200
    assert "request failed" in caplog.text


async def test_a_client_that_leaves_early_is_not_an_error(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with serving() as here:
        gate = trio.Event()
        here.board.before = gate.wait
        stream = await trio.open_tcp_stream("127.0.0.1", here.port)
        await stream.send_all(octez_get("/known_keys", here.port))
        await until(lambda: bool(here.board.asked))
        await stream.aclose()
        gate.set()
        async with await trio.open_tcp_stream("127.0.0.1", here.port) as half:
            await half.send_all(HALF)
        await here.wait_until_empty()
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


async def test_one_line_is_logged_for_each_request(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    async with serving() as here:
        key = here.board.keys[0]
        await here.ask(octez_post(key.address, b"\x13top", here.port))
        await here.ask(octez_get("/%1b%5b2J%0a" + "x" * 500, here.port))
        await here.wait_until_empty()
    signed, junk = (r.__dict__ for r in caplog.records if r.getMessage() == "request answered")
    assert (signed["method"], signed["path"]) == ("POST", f"/keys/{key.address}")
    assert signed["status"] == 200
    assert 0 < signed["ms"] < 1_000
    assert b"\x13top".hex() not in str(signed)
    assert len(junk["path"]) < 150


async def test_the_reason_of_a_refusal_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    async with serving() as here:
        await here.ask(octez_post(here.board.keys[0].address, b"\x13", here.port, version="1"))
        await here.wait_until_empty()
    assert "version 1 is not supported" in caplog.records[-1].__dict__["reason"]


async def test_stopping_lets_an_answer_out() -> None:
    async with serving() as here:
        gate = trio.Event()
        here.board.before = gate.wait
        async with await trio.open_tcp_stream("127.0.0.1", here.port) as stream:
            await stream.send_all(octez_get("/known_keys", here.port))
            await until(lambda: bool(here.board.asked))
            here.server.stop()
            gate.set()
            answer = await receive_answer(stream)
            assert answer is not None
            assert answer.status == 200
        with pytest.raises(OSError, match="connect"):
            await trio.open_tcp_stream("127.0.0.1", here.port)


async def test_an_address_in_use_is_an_os_error() -> None:
    async with serving() as here:
        other = HttpServer(RemoteSigner(here.board, KeyDirectory()).answer)
        with pytest.raises(OSError, match="in use"):
            await other.run(ListenAddress(host="127.0.0.1", port=here.port))
