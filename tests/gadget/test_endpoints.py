"""Endpoints over pipes, over socket pairs, and over a fake AIO kernel: one contract."""

import os
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import trio

from broker.contract import OUT_TRANSFER_BYTES
from gadget import endpoint_aio
from gadget.endpoint_aio import AioInEndpoint, AioOutEndpoint
from gadget.endpoint_poll import PollInEndpoint, PollOutEndpoint
from gadget.endpoints import (
    EndpointStream,
    adopt_in,
    adopt_out,
    open_in,
    open_out,
    open_stream,
)
from tests.contract_endpoint import CHECKS, Check, FarSide, Pair
from tests.contract_stream import CHECKS as STREAM_CHECKS
from tests.contract_stream import StreamCheck
from tests.fakes.aio_kernel import AioKernel

_AT_ONCE_S = 0.010


@dataclass(kw_only=True)
class _FdFar:
    """The far ends of two pipes or socket pairs."""

    out_fd: int
    in_fd: int

    async def put(self, data: bytes) -> None:
        rest = data
        while rest:
            await trio.lowlevel.wait_writable(self.out_fd)
            rest = rest[os.write(self.out_fd, rest) :]

    async def take(self) -> bytes:
        await trio.lowlevel.wait_readable(self.in_fd)
        return os.read(self.in_fd, 65536)


@dataclass(kw_only=True)
class _AioFar:
    """A host that the fake AIO kernel is connected to."""

    kernel: AioKernel
    out_fd: int
    in_fd: int

    async def put(self, data: bytes) -> None:
        await trio.lowlevel.checkpoint()
        for start in range(0, len(data), OUT_TRANSFER_BYTES):
            self.kernel.arrive(self.out_fd, data[start : start + OUT_TRANSFER_BYTES])
        if len(data) % OUT_TRANSFER_BYTES == 0:
            self.kernel.arrive(self.out_fd, b"")

    async def take(self) -> bytes:
        await trio.lowlevel.checkpoint()
        return self.kernel.fetch(self.in_fd) or b""


def _ends(kind: str) -> tuple[int, int]:
    """A read end and a write end, non-blocking."""
    if kind == "pipe":
        return os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    near, far = socket.socketpair()
    near.setblocking(False)
    far.setblocking(False)
    return near.detach(), far.detach()


def _refusing_fd(folder: Path, name: str) -> int:
    """A descriptor that epoll refuses, as it does FunctionFS."""
    return os.open(folder / name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC)


def _describe_high_speed(_fd: int, _request: int, _data: bytes) -> bytes:
    return struct.pack("<4BHBBB", 7, 5, 0x81, 2, 512, 0, 0, 0)


@pytest.fixture(params=["pipe", "socket", "aio"])
async def pair(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Pair]:
    far: FarSide
    far_fds: tuple[int, ...] = ()
    if request.param == "aio":
        kernel = AioKernel()
        kernel.install(monkeypatch)
        monkeypatch.setattr(endpoint_aio, "ioctl", _describe_high_speed)
        out_fd, in_fd = _refusing_fd(tmp_path, "ep2"), _refusing_fd(tmp_path, "ep1")
        far = _AioFar(kernel=kernel, out_fd=out_fd, in_fd=in_fd)
    else:
        (out_fd, far_out_fd), (far_in_fd, in_fd) = _ends(request.param), _ends(request.param)
        far = _FdFar(out_fd=far_out_fd, in_fd=far_in_fd)
        far_fds = (far_out_fd, far_in_fd)
    out_endpoint, in_endpoint = adopt_out(out_fd), adopt_in(in_fd)
    yield Pair(out_endpoint=out_endpoint, in_endpoint=in_endpoint, far=far, at_once_s=_AT_ONCE_S)
    await EndpointStream(out_endpoint, in_endpoint).aclose()
    for fd in far_fds:
        os.close(fd)


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
async def test_endpoints_keep_the_contract(check: Check, pair: Pair) -> None:
    with trio.fail_after(30):
        await check(pair)


async def test_file_that_epoll_refuses_gets_aio(tmp_path: Path) -> None:
    for name in ("ep1", "ep2"):
        (tmp_path / name).touch()
    async with (
        aclosing(open_out(tmp_path / "ep2")) as out_endpoint,
        aclosing(open_in(tmp_path / "ep1")) as in_endpoint,
    ):
        assert isinstance(out_endpoint, AioOutEndpoint)
        assert isinstance(in_endpoint, AioInEndpoint)


async def test_file_that_epoll_takes_is_polled(tmp_path: Path) -> None:
    for name in ("ep1", "ep2"):
        os.mkfifo(tmp_path / name)
    async with (
        aclosing(open_out(tmp_path / "ep2")) as out_endpoint,
        aclosing(open_in(tmp_path / "ep1")) as in_endpoint,
    ):
        assert isinstance(out_endpoint, PollOutEndpoint)
        assert isinstance(in_endpoint, PollInEndpoint)


async def test_missing_endpoint_file_is_an_oserror(tmp_path: Path) -> None:
    for open_endpoint in (open_out, open_in):
        with pytest.raises(FileNotFoundError):
            open_endpoint(tmp_path / "ep1")


async def test_end_of_a_pipe_is_no_bytes() -> None:
    read_end, write_end = os.pipe2(os.O_NONBLOCK)
    async with aclosing(adopt_out(read_end)) as endpoint:
        os.write(write_end, b"last")
        os.close(write_end)
        assert await endpoint.receive() == b"last"
        assert await endpoint.receive() == b""


async def test_stream_hands_through_and_closes_both_endpoints() -> None:
    (out_fd, far_out_fd), (far_in_fd, in_fd) = _ends("pipe"), _ends("pipe")
    stream = EndpointStream(adopt_out(out_fd), adopt_in(in_fd))
    os.write(far_out_fd, b"to us")
    assert await stream.receive() == b"to us"
    await stream.send(b"to them")
    assert os.read(far_in_fd, 9) == b"to them"
    await stream.aclose()
    with pytest.raises(trio.ClosedResourceError):
        await stream.receive()
    with pytest.raises(trio.ClosedResourceError):
        await stream.send(b"x")
    assert os.read(far_in_fd, 9) == b""
    for fd in (far_out_fd, far_in_fd):
        os.close(fd)


async def test_no_descriptor_is_left_when_aio_has_no_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "ep1").touch()

    def refuse(_nr_events: int) -> int:
        raise OSError(11, "io_setup: no room")

    monkeypatch.setattr("gadget.aio.io_setup", refuse)
    before = _count_descriptors()
    for open_endpoint in (open_out, open_in):
        with pytest.raises(OSError, match="no room"):
            open_endpoint(tmp_path / "ep1")
    assert _count_descriptors() == before


async def test_stream_of_one_endpoint_file_is_not_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "ep2")
    before = _count_descriptors()
    with pytest.raises(FileNotFoundError):
        await open_stream(tmp_path / "ep2", tmp_path / "ep1")
    assert _count_descriptors() == before


async def test_file_that_is_busy_is_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, autojump_clock: trio.abc.Clock
) -> None:
    for name in ("ep1", "ep2"):
        os.mkfifo(tmp_path / name)
    refusals = iter(range(50))
    really_open = os.open

    def open_file(path: Path, flags: int) -> int:
        for _ in refusals:
            raise BlockingIOError
        return really_open(path, flags)

    monkeypatch.setattr(os, "open", open_file)
    stream = await open_stream(tmp_path / "ep2", tmp_path / "ep1")
    await stream.aclose()


async def test_file_that_stays_busy_is_an_oserror(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, autojump_clock: trio.abc.Clock
) -> None:
    def refuse(_path: Path, _flags: int) -> int:
        raise BlockingIOError

    monkeypatch.setattr(os, "open", refuse)
    with trio.fail_after(2), pytest.raises(BlockingIOError):
        await open_stream(tmp_path / "ep2", tmp_path / "ep1")


def _count_descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - counted, not read


@asynccontextmanager
async def _pipe_streams() -> AsyncIterator[tuple[EndpointStream, EndpointStream]]:
    (first_out, second_in), (second_out, first_in) = _ends("pipe"), _ends("pipe")
    first = EndpointStream(adopt_out(first_out), adopt_in(first_in))
    second = EndpointStream(adopt_out(second_out), adopt_in(second_in))
    try:
        yield first, second
    finally:
        await first.aclose()
        await second.aclose()


@pytest.mark.parametrize("check", STREAM_CHECKS, ids=lambda check: check.__name__)
async def test_stream_keeps_the_contract(check: StreamCheck) -> None:
    await check(_pipe_streams)
