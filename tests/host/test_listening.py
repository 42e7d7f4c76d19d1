"""The signer listens again when its socket has failed under it."""

import errno
import itertools
import logging
import os
import socket
import stat
from pathlib import Path

import pytest
import trio
from trio.testing import MockClock

from host import listening
from host.settings import ListenAddress
from tests.host.http_client import octez_get
from tests.host.http_serving import serving, until


def break_listener(port: int) -> None:
    """What the kernel does to a listening socket that failed for good: accept gives EINVAL."""
    for entry in Path("/proc/self/fd").iterdir():
        fd = int(entry.name)
        try:
            if not stat.S_ISSOCK(os.fstat(fd).st_mode):
                continue
        except OSError:
            continue
        with socket.socket(fileno=os.dup(fd)) as found:
            listens = found.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
            if listens and found.getsockname()[1] == port:
                found.shutdown(socket.SHUT_RDWR)


async def test_signer_answers_again_after_its_socket_failed(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with (
        serving() as here,
        await trio.open_tcp_stream("127.0.0.1", here.port) as open_before,
    ):
        await here.ask(octez_get("/authorized_keys", here.port))
        for turn in (1, 2):
            break_listener(here.port)
            await until(lambda: count(caplog, "listening again") == turn)  # noqa: B023
            answer = await here.ask(octez_get("/authorized_keys", here.port))
            assert answer.status == 200
        await open_before.send_all(octez_get("/authorized_keys", here.port))
        assert (await open_before.receive_some()).startswith(b"HTTP/1.1 200")
    assert count(caplog, "the signer's socket failed") == 2


def count(caplog: pytest.LogCaptureFixture, message: str) -> int:
    return sum(record.getMessage() == message for record in caplog.records)


async def test_attempts_to_listen_back_off_and_never_end(
    monkeypatch: pytest.MonkeyPatch,
    autojump_clock: MockClock,
    caplog: pytest.LogCaptureFixture,
) -> None:
    tried_s: list[float] = []

    async def refuse(_address: ListenAddress, _backlog: int) -> list[trio.SocketListener]:
        await trio.lowlevel.checkpoint()
        tried_s.append(trio.current_time())
        raise OSError(errno.EADDRINUSE, "address already in use")

    address = ListenAddress(host="127.0.0.1", port=1)
    monkeypatch.setattr(listening, "open_listeners", refuse)
    broken = socket.socket()
    broken.bind(("127.0.0.1", 0))
    broken.listen()
    listener = trio.SocketListener(trio.socket.from_stdlib_socket(broken))
    broken.shutdown(socket.SHUT_RDWR)
    async with trio.open_nursery() as nursery:
        with trio.move_on_after(60):
            await listening.serve_again(
                handle_none, [listener], address, backlog=1, connections=nursery
            )
    delays = [later - earlier for earlier, later in itertools.pairwise(tried_s)]
    assert all(later > 0.99 * earlier for earlier, later in itertools.pairwise(delays))
    assert delays[-1] == pytest.approx(5.0)
    assert 10 <= len(tried_s) <= 20
    assert caplog.records[-1].levelno == logging.ERROR


async def handle_none(stream: trio.SocketStream) -> None:
    await stream.aclose()


async def test_beat_goes_through_the_listener() -> None:
    async with serving() as here:
        with trio.fail_after(3):
            await here.server.beat()
        await here.wait_until_empty()


async def test_beat_hangs_where_nobody_accepts(monkeypatch: pytest.MonkeyPatch) -> None:
    async def never(
        _handle: object, listeners: list[trio.SocketListener], *_arguments: object, **_more: object
    ) -> None:
        try:
            await trio.sleep_forever()
        finally:
            for listener in listeners:
                listener.socket.close()

    monkeypatch.setattr("host.http_server.serve_again", never)
    async with serving() as here:
        with trio.move_on_after(0.3) as scope:
            await here.server.beat()
        assert scope.cancelled_caught
