import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.contract import READY_REPLY_BYTES
from registrar import control
from registrar.control import Reply, StallIn, StallOut, answer_setup
from registrar.events import Setup

SETUPS = st.builds(
    Setup,
    bmRequestType=st.integers(0, 0xFF),
    bRequest=st.one_of(st.just(0x5A), st.integers(0, 0xFF)),
    wValue=st.integers(0, 0xFFFF),
    wIndex=st.integers(0, 0xFFFF),
    wLength=st.integers(0, 0xFFFF),
)


def ready_request(kind: int = 0xC1, request: int = 0x5A, length: int = 8, value: int = 0) -> Setup:
    return Setup(bmRequestType=kind, bRequest=request, wValue=value, wIndex=0, wLength=length)


@pytest.mark.parametrize("kind", [0xC1, 0x81])
@pytest.mark.parametrize(("ready", "flag"), [(True, "01"), (False, "00")])
def test_ready_request_of_both_types_is_answered(kind: int, ready: bool, flag: str) -> None:
    expected = bytes.fromhex("545a5347 0100" + flag + "00")
    assert answer_setup(ready_request(kind), ready=ready) == Reply(
        data=expected, opens_session=False
    )


@pytest.mark.parametrize(
    ("value", "ready", "opens_session"),
    [(0, True, False), (1, True, True), (1, False, False), (2, True, False), (0xFFFF, True, False)],
)
def test_only_who_says_so_and_is_told_ready_opens_a_session(
    value: int, ready: bool, opens_session: bool
) -> None:
    answer = answer_setup(ready_request(value=value), ready=ready)
    assert isinstance(answer, Reply)
    assert answer.opens_session == opens_session
    assert answer.data == (b"TZSG\x01\x00\x01\x00" if ready else control.NOT_READY)


@pytest.mark.parametrize("length", [0, 1, 7, 8, 9, 0xFFFF])
def test_ready_reply_is_cut_to_what_the_host_asks_for(length: int) -> None:
    answer = answer_setup(ready_request(length=length), ready=True)
    assert isinstance(answer, Reply)
    assert answer.data == b"TZSG\x01\x00\x01\x00"[:length]


@pytest.mark.parametrize("kind", [0xC0, 0xC2, 0xC3, 0xA1, 0x80, 0xFF])
def test_ready_request_of_another_type_stalls(kind: int) -> None:
    assert answer_setup(ready_request(kind), ready=True) == StallIn()


@pytest.mark.parametrize("request_code", [0x00, 0x59, 0x5B, 0xCD, 0xFF])
def test_unknown_device_to_host_request_stalls(request_code: int) -> None:
    assert answer_setup(ready_request(request=request_code), ready=True) == StallIn()


@pytest.mark.parametrize("length", [0, 8])
@pytest.mark.parametrize("kind", [0x41, 0x01, 0x21, 0x00])
def test_every_host_to_device_request_stalls(kind: int, length: int) -> None:
    assert answer_setup(ready_request(kind, length=length), ready=True) == StallOut()


@given(SETUPS, st.booleans())
def test_any_request_has_a_short_reply_or_a_stall_in_its_own_direction(
    setup: Setup, ready: bool
) -> None:
    match answer_setup(setup, ready=ready):
        case Reply(data=data):
            assert setup.is_in
            assert len(data) <= setup.wLength
        case StallIn():
            assert setup.is_in
        case StallOut():
            assert not setup.is_in


def test_table_total_is_the_size() -> None:
    total = re.search(r"^    (\d+) +total", control.__doc__ or "", re.MULTILINE)
    assert total is not None
    assert int(total[1]) == READY_REPLY_BYTES
