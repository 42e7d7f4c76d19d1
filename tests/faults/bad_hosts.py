"""Scenarios 4a to 4d: a host that misbehaves on one interface, then on the other.

It talks to usbfs directly. Meanwhile the other interface is used as ever; afterwards service has to
be normal within a second. The board's memory is watched all the time.
"""

import contextlib
import os
import random
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from typing import Final

import trio

from broker.codec import encode_request
from broker.contract import INTERFACE_MANAGE, INTERFACE_SIGN, VENDOR_ID
from broker.frame import ID_BYTES, Frame, FrameType, encode_frame
from broker.messages import PingRequest
from host.client import Client
from host.connection import open_session
from tests.faults.bystander import Bystander, connect_patiently, sign_new
from tests.faults.findings import Findings
from tests.faults.process_size import measure_process
from tests.faults.stack import Stack
from tests.kernel.usbfs import UsbHost, find_device

__all__ = ["flood", "open_and_close", "send_junk", "stop_reading"]

_INTERFACES: Final = (INTERFACE_SIGN, INTERFACE_MANAGE)
_NORMAL_S: Final = 1.0
_GROWTH_MIB: Final = 8.0
_TRANSFER_BYTES: Final = 16 * 1024
_WATCH_S: Final = 0.1
_WRITE_S: Final = 0.5
_READ_S: Final = 0.2
_BUNDLE: Final = 40

OpenHost = Callable[[], AbstractContextManager[UsbHost]]
Misbehave = Callable[[OpenHost, Findings], None]


async def stop_reading(stack: Stack, findings: Findings, seconds: int) -> None:
    """Asks and asks, and takes no answer."""

    def misbehave(open_host: OpenHost, findings: Findings) -> None:
        with open_host() as host:
            for _ in _until(seconds / 2):
                try:
                    host.write(_ping())
                    findings.count("requests of which no answer was taken")
                except TimeoutError:
                    findings.count("writes that the board did not take in time")

    await _endure(stack, findings, misbehave)


async def flood(stack: Stack, findings: Findings, requests: int) -> None:
    """As fast as the bus carries them, many in one transfer."""

    def misbehave(open_host: OpenHost, findings: Findings) -> None:
        with open_host() as host, _answers_taken(host, findings):
            for _ in range(requests // 2 // _BUNDLE):
                with contextlib.suppress(TimeoutError):
                    host.write(b"".join(_ping() for _ in range(_BUNDLE)))
                    findings.count("requests", _BUNDLE)

    await _endure(stack, findings, misbehave)


async def send_junk(stack: Stack, findings: Findings, seconds: int) -> None:
    """Random bytes; headers that promise what never comes; frames with a byte changed."""

    def misbehave(open_host: OpenHost, findings: Findings) -> None:
        with open_host() as host, _answers_taken(host, findings):
            for _ in _until(seconds / 2):
                junk = random.choice((_random_bytes, _headers, _damaged))()  # noqa: S311
                with contextlib.suppress(TimeoutError):
                    host.write(junk)
                    findings.count("kilobytes of junk", len(junk) // 1024)

    await _endure(stack, findings, misbehave)


async def open_and_close(stack: Stack, findings: Findings, times: int) -> None:
    """Every other time with a part of a frame left behind."""

    def misbehave(open_host: OpenHost, findings: Findings) -> None:
        for number in range(times // 2):
            with open_host() as host:
                if number % 2 == 0:
                    try:
                        host.write(_ping()[:-1])
                    except TimeoutError:  # answers to what two halves made lie unread
                        findings.count("half frames that the board did not take in time")
            findings.count("opened and closed")

    await _endure(stack, findings, misbehave)


def _until(seconds: float) -> Iterator[None]:
    end_s = time.monotonic() + seconds
    while time.monotonic() < end_s:
        yield


def _ping() -> bytes:
    payload = encode_request(PingRequest(token=b"flood"))
    return encode_frame(Frame(FrameType.REQUEST, secrets.token_bytes(ID_BYTES), payload))


def _random_bytes() -> bytes:
    return os.urandom(random.randrange(1, _TRANSFER_BYTES))  # noqa: S311


def _headers() -> bytes:
    """Frames of a quarter of a megabyte, of which only the beginning comes."""
    whole = Frame(FrameType.REQUEST, secrets.token_bytes(ID_BYTES), bytes(200_000))
    return encode_frame(whole)[: random.randrange(23, _TRANSFER_BYTES)]  # noqa: S311


def _damaged() -> bytes:
    frames = bytearray(b"".join(_ping() for _ in range(_BUNDLE)))
    for _ in range(_BUNDLE):
        frames[random.randrange(len(frames))] ^= 1 << random.randrange(8)  # noqa: S311
    return bytes(frames)


@contextmanager
def _open_host(interface: int) -> Iterator[UsbHost]:
    host = UsbHost(find_device(VENDOR_ID), interface=interface, timeout_s=_WRITE_S)
    try:
        yield host
    finally:
        host.close()


@contextmanager
def _answers_taken(host: UsbHost, findings: Findings) -> Iterator[None]:
    """Reads and forgets whatever the board says during the block."""
    is_over = threading.Event()

    def read() -> None:
        while not is_over.is_set():
            with contextlib.suppress(TimeoutError):
                findings.count("bytes of answers", len(host.read(_READ_S)))

    reader = threading.Thread(target=read)
    reader.start()
    try:
        yield
    finally:
        is_over.set()
        reader.join()


async def _endure(stack: Stack, findings: Findings, misbehave: Misbehave) -> None:
    """On each interface: misbehaves beside a bystander, then asks for normal service."""
    assert stack.board.gadget is not None
    pid = stack.board.gadget.pid
    before_kb = measure_process(pid).resident_kb
    for interface in _INTERFACES:
        undisturbed_s = await _serve_once(stack, findings, interface)
        findings.worst("service undisturbed, s", undisturbed_s)
        (other,) = set(_INTERFACES) - {interface}
        async with trio.open_nursery() as nursery:
            await nursery.start(Bystander(stack, findings, other).run)
            nursery.start_soon(_watch_memory, findings, pid, before_kb)
            open_host = partial(_open_host, interface)
            await trio.to_thread.run_sync(misbehave, open_host, findings)
            nursery.cancel_scope.cancel()
        normal_s = await _serve_once(stack, findings, interface)
        findings.worst("until service was normal, s", normal_s, _NORMAL_S)


async def _watch_memory(findings: Findings, pid: int, before_kb: int) -> None:
    while True:
        grown_mib = (measure_process(pid).resident_kb - before_kb) / 1024
        findings.worst("growth of the gadget, MiB", grown_mib, _GROWTH_MIB)
        await trio.sleep(_WATCH_S)


async def _serve_once(stack: Stack, findings: Findings, interface: int) -> float:
    """Returns the time from nothing to an answer: board found, session verified, asked."""
    started_s = trio.current_time()
    connection = await connect_patiently(findings, interface)
    async with open_session(connection.stream) as session:
        client = Client(session)
        if interface == INTERFACE_SIGN:
            await sign_new(stack, findings, client)
        else:
            await client.status()
    return trio.current_time() - started_s
