"""What comes over ep0, on both sides: events and control requests, and the ready reply.

BadEvent, or values that stand in the bytes and an answer that fits the request. The host's side
reads the first 8 bytes as a board's ready reply: HostError or nothing.
"""

import struct
from collections.abc import Iterator
from contextlib import suppress
from itertools import chain

from host import discover
from host.errors import HostError
from registrar.control import Reply, StallIn, StallOut, answer_setup
from registrar.errors import BadEvent
from registrar.events import Event, Setup, parse_event, split_events
from registrar.state import UsbState, advance

__all__ = ["one_input", "seeds"]


def one_input(data: bytes) -> None:
    with suppress(HostError):
        discover._check_ready(data[:8], "1-1")
    try:
        records = list(split_events(data))
        events = [parse_event(record) for record in records]
    except BadEvent:
        return
    state = UsbState.UNBOUND
    for record, event in zip(records, events, strict=True):
        state = advance(state, event.type).state
        _check_event(record, event)


def _check_event(record: bytes, event: Event) -> None:
    assert record[8] == event.type
    setup = event.setup
    if setup is None:
        return
    fields = (setup.bmRequestType, setup.bRequest, setup.wValue, setup.wIndex, setup.wLength)
    assert struct.pack("<BBHHH", *fields) == record[:8]
    for ready in (False, True):
        _check_answer(setup, ready=ready)


def _check_answer(setup: Setup, *, ready: bool) -> None:
    match answer_setup(setup, ready=ready):
        case Reply(data=data):
            assert setup.is_in
            assert len(data) == min(setup.wLength, 8)
            assert b"TZSG\x01\0".startswith(data[:6])
            assert data[6:7] in (b"", bytes([ready]))
        case StallIn():
            assert setup.is_in
        case StallOut():
            assert not setup.is_in


def seeds() -> Iterator[bytes]:
    plain = [bytes(8) + bytes([code, 0, 0, 0]) for code in (0, 1, 2, 3, 5, 6)]
    ready = bytes.fromhex("c15a000001000800") + b"\4\0\0\0"
    yield from plain
    yield ready
    yield bytes.fromhex("815a010000000200") + b"\4\0\0\0"
    yield b"".join(chain(plain[:3], [ready]))
    yield bytes.fromhex("810600220000ffff") + b"\4abc"
    yield bytes.fromhex("2109000200000000") + b"\4\0\0\0"
    yield b"TZSG\x01\0\x01\0"
    yield b"TZSG\x02\0\x01\0"
