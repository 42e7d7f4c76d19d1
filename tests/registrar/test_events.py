import re
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registrar import events
from registrar.errors import BadEvent
from registrar.events import EVENT_BYTES, Event, EventType, Setup, parse_event, split_events
from tests.fakes.ep0 import encode_event

READY = Setup(bmRequestType=0xC1, bRequest=0x5A, wValue=0x1234, wIndex=1, wLength=8)


def parse_all(data: bytes) -> list[Event]:
    return [parse_event(record) for record in split_events(data)]


@pytest.mark.parametrize("event", [e for e in EventType if e is not EventType.SETUP])
def test_each_event_but_setup_has_no_packet(event: EventType) -> None:
    assert parse_event(encode_event(event)) == Event(type=event, setup=None)


def test_setup_has_the_fields_of_usb_ctrlrequest() -> None:
    record = bytes.fromhex("c1 5a 3412 0100 0800 04 000000")
    assert parse_event(record) == Event(type=EventType.SETUP, setup=READY)


def test_bytes_of_the_union_mean_nothing_outside_setup() -> None:
    assert parse_event(b"\xff" * 8 + b"\x02\xff\xff\xff").setup is None


def test_one_read_may_bring_several_events_in_order() -> None:
    data = encode_event(EventType.RESUME) + encode_event(EventType.SETUP, READY)
    assert [event.type for event in parse_all(data)] == [EventType.RESUME, EventType.SETUP]


def test_no_bytes_are_no_events() -> None:
    assert parse_all(b"") == []


@pytest.mark.parametrize("size", [1, 11, 13, 47])
def test_torn_event_is_refused(size: int) -> None:
    with pytest.raises(BadEvent, match=f"found {size}"):
        split_events(bytes(size))
    with pytest.raises(BadEvent):
        parse_event(bytes(size))


@pytest.mark.parametrize("code", [7, 255])
def test_unknown_event_type_is_refused(code: int) -> None:
    with pytest.raises(BadEvent, match=f"found {code}"):
        parse_event(bytes(8) + bytes([code, 0, 0, 0]))


@given(st.binary(max_size=60))
def test_random_bytes_give_events_or_bad_event(data: bytes) -> None:
    try:
        found = parse_all(data)
    except BadEvent:
        return
    assert len(found) == len(data) // EVENT_BYTES


@given(st.integers(0, 255), st.integers(0, 255), *[st.integers(0, 0xFFFF)] * 3)
def test_setup_survives_the_wire(
    kind: int, request: int, value: int, index: int, size: int
) -> None:
    setup = Setup(bmRequestType=kind, bRequest=request, wValue=value, wIndex=index, wLength=size)
    assert parse_event(encode_event(EventType.SETUP, setup)).setup == setup
    assert setup.is_in == (kind >= 0x80)


@pytest.mark.parametrize(
    "wrong", [(256, 0, 0, 0, 0), (0, -1, 0, 0, 0), (0, 0, 1 << 16, 0, 0), (0, 0, 0, 0, -1)]
)
def test_setup_out_of_range_cannot_exist(wrong: tuple[int, int, int, int, int]) -> None:
    kind, request, value, index, size = wrong
    with pytest.raises(ValueError, match=r"byte|16 bits"):
        Setup(bmRequestType=kind, bRequest=request, wValue=value, wIndex=index, wLength=size)


@pytest.mark.parametrize(("event", "setup"), [(EventType.SETUP, None), (EventType.BIND, READY)])
def test_event_has_a_packet_if_and_only_if_it_is_setup(
    event: EventType, setup: Setup | None
) -> None:
    with pytest.raises(ValueError, match="SETUP"):
        Event(type=event, setup=setup)


def test_table_total_is_the_size() -> None:
    total = re.search(r"^    (\d+) +total", events.__doc__ or "", re.MULTILINE)
    assert total is not None
    assert int(total[1]) == EVENT_BYTES == struct.calcsize("<BBHHHB3x")
