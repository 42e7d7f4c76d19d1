"""Messages of both directions: BadMessage or a message, whose own form is never the longer one."""

from collections.abc import Callable, Iterator
from typing import TypeVar

from broker.codec import decode_request, decode_response, encode_request, encode_response
from broker.errors import BadMessage
from broker.health_messages import HEALTH_REPORT_LIMIT
from tests.broker.samples import REQUESTS, RESPONSES

__all__ = ["one_input", "seeds"]

_Message = TypeVar("_Message")


def one_input(data: bytes) -> None:
    _check(data, decode_request, encode_request)
    _check(data, decode_response, encode_response)


def _check(
    data: bytes, decode: Callable[[bytes], _Message], encode: Callable[[_Message], bytes]
) -> None:
    try:
        message = decode(data)
    except BadMessage:
        return
    written = encode(message)  # maps may come in another order, numbers in a longer form
    assert decode(written) == message
    assert len(written) <= len(data)


def seeds() -> Iterator[bytes]:
    yield from map(encode_request, REQUESTS)
    # But for a report of the greatest size: one long block, at which inputs would be slow.
    responses = map(encode_response, RESPONSES)
    yield from (data for data in responses if len(data) < HEALTH_REPORT_LIMIT)
    yield b"\x81\xa4ping" + b"\x91" * 2000  # arrays in arrays
    yield b"\x81\xa4ping" + b"\x81\x01" * 1000  # maps in maps
    yield b"\x81\xa4logs\x81\xa5lines\xdd\xff\xff\xff\xff"  # four thousand million elements
    yield b"\x81\xa4ping\x81\xa5token\xc6\xff\xff\xff\xff"
    yield b"\x81\xa4logs\x81\xa5lines\xd6\xff\0\0\0\0"  # a time stamp
    yield b"\x81\xa4lock\x81\xa3ids\x91\xa1\xff"  # not UTF-8
