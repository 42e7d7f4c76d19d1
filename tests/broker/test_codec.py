"""Messages cross the wire unchanged, and nothing else is taken for one."""

import tracemalloc
from enum import StrEnum
from typing import get_args

import msgpack
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from broker import messages
from broker.codec import decode_request, decode_response, encode_request, encode_response
from broker.contract import PAYLOAD_LIMIT_BYTES
from broker.errors import BadMessage, UnknownRequest
from broker.messages import (
    Error,
    ErrorCode,
    LogsResponse,
    NewRequest,
    Request,
    Response,
    SignRequest,
    SignResponse,
    StatusRequest,
    StatusResponse,
    UnlockRequest,
)
from tests.broker.samples import REQUESTS, RESPONSES

SIGN = {"pkh": "tz4", "message": b"payload"}
_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats()
    | st.text(max_size=5)
    | st.binary(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=8,
)


def pack(value: object) -> bytes:
    return msgpack.packb(value)


def test_samples_are_complete() -> None:
    assert {type(message) for message in REQUESTS} == set(get_args(messages.Request))
    assert {type(message) for message in RESPONSES} == set(get_args(messages.Response))


@pytest.mark.parametrize("message", REQUESTS, ids=lambda message: message.op)
def test_request_comes_back_as_it_was(message: Request) -> None:
    assert decode_request(encode_request(message)) == message


@pytest.mark.parametrize("message", RESPONSES, ids=lambda message: message.op)
def test_response_comes_back_as_it_was(message: Response) -> None:
    assert decode_response(encode_response(message)) == message


def test_sign_looks_like_this_on_the_wire() -> None:
    payload = encode_request(SignRequest(pkh="tz4", message=b"payload"))
    assert msgpack.unpackb(payload) == {"sign": SIGN}
    answer = encode_response(SignResponse(signature=b"s"))
    assert msgpack.unpackb(answer) == {"sign": {"signature": b"s"}}
    refusal = encode_response(Error(code=ErrorCode.KEY_LOCKED, message="locked"))
    assert msgpack.unpackb(refusal) == {"error": {"code": 32, "message": "locked"}}
    assert encode_request(StatusRequest()) == b"\x81\xa6status\x80"


def test_enumerations_are_sent_as_their_values() -> None:
    class KeyType(StrEnum):
        TZ4 = "tz4"

    request = NewRequest(passphrase=b"", id="a", type=KeyType.TZ4, chain_id=None, exportable=False)
    decoded = decode_request(encode_request(request))
    assert isinstance(decoded, NewRequest)
    assert type(decoded.type) is str
    error = decode_response(encode_response(Error(code=ErrorCode.BUSY, message="")))
    assert isinstance(error, Error)
    assert type(error.code) is int


@pytest.mark.parametrize(
    "payload",
    [
        pytest.param(b"", id="empty"),
        pytest.param(pack(None), id="nil"),
        pytest.param(pack("sign"), id="text"),
        pytest.param(pack({}), id="no operation"),
        pytest.param(pack({"sign": SIGN, "ping": {"token": b""}}), id="two operations"),
        pytest.param(pack([["sign", SIGN]]), id="array for the map"),
        pytest.param(pack({"sign": [["pkh", "tz4"], ["message", b""]]}), id="array for the fields"),
        pytest.param(pack({"sign": None}), id="nil for the fields"),
        pytest.param(pack({"sign": {"pkh": "tz4"}}), id="missing field"),
        pytest.param(pack({"sign": {**SIGN, "extra": 1}}), id="unknown field"),
        pytest.param(pack({"sign": {"pkh": "tz4", "massage": b""}}), id="wrong field"),
        pytest.param(pack({"sign": {"pkh": b"tz4", "message": b""}}), id="bytes for text"),
        pytest.param(pack({"sign": {"pkh": "tz4", "message": "text"}}), id="text for bytes"),
        pytest.param(pack({"sign": {"pkh": "tz4", "message": [1]}}), id="array for bytes"),
        pytest.param(pack({"sign": {"pkh": None, "message": b""}}), id="nil for text"),
        pytest.param(pack({"logs": {"lines": True}}), id="bool for int"),
        pytest.param(pack({"logs": {"lines": 1.0}}), id="float for int"),
        pytest.param(pack({"logs": {"lines": -1}}), id="negative"),
        pytest.param(pack({"logs": {"lines": 1001}}), id="too many lines"),
        pytest.param(pack({"logs": {"lines": 2**31}}), id="over 31 bits"),
        pytest.param(pack({"logs": {"lines": 2**64 - 1}}), id="largest msgpack integer"),
        pytest.param(pack({"init": {"passphrase": b"", "deterministic": 1}}), id="int for bool"),
        pytest.param(pack({"lock": {"ids": "abc"}}), id="text for array"),
        pytest.param(pack({"lock": {"ids": {"a": 1}}}), id="map for array"),
        pytest.param(pack({"lock": {"ids": ["a", None]}}), id="nil in array"),
        pytest.param(pack({"lock": {"ids": ["UPPER"]}}), id="bad key id"),
        pytest.param(pack({"lock": {"ids": ["a"] * 65}}), id="too many keys"),
        pytest.param(pack({"sign": {"pkh": "t" * 65, "message": b""}}), id="long address"),
        pytest.param(pack({"sign": {"pkh": "tz4", "message": bytes(8193)}}), id="long payload"),
        pytest.param(pack({"sign": SIGN}) + b"\x00", id="bytes after the end"),
        pytest.param(pack({"sign": SIGN})[:-1], id="bytes missing"),
        pytest.param(b"\x81\xa4sign\xc1", id="code that is never used"),
        pytest.param(b"\x81\xa4sign\x82\xa3pkh\xa1\xff\xa7message\xc4\x00", id="not UTF-8"),
        pytest.param(b"\x81\xa4sign\x82\xa3pkh\xa1a\xa3pkh\xa1a", id="double key"),
        pytest.param(
            b"\x81\xa4sign\x83\xa3pkh\xa1a\xa7message\xc4\x00\xa3pkh\xa1b", id="double key, extra"
        ),
        pytest.param(
            b"\x82" + pack("ping") + pack({"token": b""}) + pack("ping") + b"\x80", id="2"
        ),
        pytest.param(pack({"ping": {"token": msgpack.Timestamp(1, 2)}}), id="timestamp"),
        pytest.param(pack({"ping": {"token": msgpack.ExtType(1, b"")}}), id="empty extension"),
        pytest.param(pack({"ping": {"token": msgpack.ExtType(1, b"abc")}}), id="extension"),
        pytest.param(pack({"ping": msgpack.ExtType(1, b"")}), id="extension for the fields"),
        pytest.param(b"\x81\x91\xa1a\x80", id="array as key"),
        pytest.param(b"\x81\x80\x80", id="map as key"),
        pytest.param(b"\x81\x01\x80", id="number as key"),
    ],
)
def test_anything_else_is_no_request(payload: bytes) -> None:
    with pytest.raises(BadMessage) as caught:
        decode_request(payload)
    assert not isinstance(caught.value, UnknownRequest)


@pytest.mark.parametrize(
    "payload",
    [
        pack({"reboot": {}}),
        pack({"": {}}),
        pack({"error": {"code": 1, "message": ""}}),
        pack({b"sign": SIGN}),
    ],
)
def test_unknown_operation_has_its_own_error(payload: bytes) -> None:
    with pytest.raises(UnknownRequest):
        decode_request(payload)


@pytest.mark.parametrize(
    "payload",
    [
        pytest.param(b"\xdd\xff\xff\xff\xff", id="array of 4 G"),
        pytest.param(b"\xdf\xff\xff\xff\xff", id="map of 4 G"),
        pytest.param(b"\xc6\xff\xff\xff\xff", id="4 GiB of bytes"),
        pytest.param(b"\xdb\xff\xff\xff\xff", id="4 GiB of text"),
        pytest.param(b"\xc9\xff\xff\xff\xff\x01", id="4 GiB of extension"),
        pytest.param(b"\x91" * PAYLOAD_LIMIT_BYTES, id="deep arrays"),
        pytest.param(b"\x81\xa1a" * 80_000, id="deep maps"),
        pytest.param(b"\xdc\x00\x40" * 80_000, id="deep arrays of 64"),
        pytest.param(b"\xdc\x03\xe8" * 80_000, id="deep arrays of 1000"),
        pytest.param(b"\xde\x00\x10\xa1a" * 50_000, id="deep maps of 16"),
        pytest.param(b"\x81\xa4lock\x81\xa3ids" + b"\x91" * 500, id="deep within a field"),
        pytest.param(pack([0] * 200_000), id="many small values"),
    ],
)
def test_bomb_is_refused_in_little_memory(payload: bytes) -> None:
    limits = ((decode_request, 2 * 2**20), (decode_response, 10 * 2**20))  # the board has less
    for decode, limit_bytes in limits:
        tracemalloc.start()
        with pytest.raises(BadMessage):
            decode(payload)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak < limit_bytes


@pytest.mark.parametrize(
    "payload",
    [
        pack({"hidden": {}}),
        pack({"init": {"passphrase": "hidden", "deterministic": False}}),
        pack({"init": {"passphrase": b"hidden" * 500, "deterministic": False}}),
        pack({"init": {"passphrase": b"hidden", "deterministic": "hidden"}}),
        pack({"unlock": {"passphrase": b"hidden", "ids": ["HIDDEN hidden"]}}),
        b"\x81\xa4sign\xa7hidden\xff",
        pack({"sign": SIGN}) + b"hidden",
    ],
)
def test_errors_never_quote_the_message(payload: bytes) -> None:
    with pytest.raises(BadMessage) as caught:
        decode_request(payload)
    error: BaseException | None = caught.value
    while error is not None:
        assert "hidden" not in f"{error} {error!r}".lower()
        error = error.__cause__ or error.__context__


def test_largest_messages_fit_in_a_frame() -> None:
    lines = ("x" * 204,) * 1000
    assert len(encode_response(LogsResponse(lines=lines))) < PAYLOAD_LIMIT_BYTES
    assert decode_response(encode_response(LogsResponse(lines=lines))) == LogsResponse(lines=lines)
    status = next(message for message in RESPONSES if isinstance(message, StatusResponse))
    full = StatusResponse(keys=status.keys[:1] * 64)
    assert decode_response(encode_response(full)) == full
    unlock = UnlockRequest(passphrase=bytes(1024), ids=("k" * 64,) * 64)
    assert decode_request(encode_request(unlock)) == unlock
    sign = SignRequest(pkh="t" * 64, message=bytes(8192))
    assert decode_request(encode_request(sign)) == sign


@settings(deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_are_a_message_or_bad(payload: bytes) -> None:
    for decode in (decode_request, decode_response):
        try:
            decode(payload)
        except BadMessage:
            continue


@settings(deadline=None)
@given(
    st.sampled_from([message.op for message in (*REQUESTS, *RESPONSES)]),
    st.dictionaries(
        st.sampled_from(["pkh", "message", "token", "ids", "lines", "passphrase", "id", "code"]),
        _values,
        max_size=4,
    ),
)
def test_any_fields_are_a_message_or_bad(op: str, fields: dict[str, object]) -> None:
    """What is taken for a message is sent again as the same bytes."""
    payload = pack({op: fields})
    try:
        request = decode_request(payload)
    except BadMessage:
        pass
    else:
        assert decode_request(encode_request(request)) == request
    try:
        response = decode_response(payload)
    except BadMessage:
        return
    assert decode_response(encode_response(response)) == response
